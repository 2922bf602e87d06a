"""Going on from a trained network: what is carried over, what is frozen, how fast each stage learns, and resuming all that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

import intarsia
from intarsia.cli import main
from intarsia.core import ClassSet, Pixels, Queries, Regions
from intarsia.core.catalogue import find, members
from intarsia.core.errors import CheckpointError, OptionError
from intarsia.data.dataset import Dataset
from intarsia.engine.checkpoint import read_tensors
from intarsia.engine.demo import write_scenes
from intarsia.engine.devices import accelerator_for
from intarsia.engine.fine_tuning import carry_over, source_of
from intarsia.engine.ingredients import Ingredients
from intarsia.engine.optimisers import parameter_groups
from intarsia.engine.options import FineTuneOptions, TrainOptions
from intarsia.engine.recipe import spoken
from intarsia.engine.stages import encoder_stages, learn, rate_factors
from intarsia.engine.state import Progress
from intarsia.engine.train import is_over
from intarsia.models.encoders.make import make_encoder
from test_engine_distributed import HERE, run_two

TINY = {"batch_size": 4, "device": "cpu", "precision": "fp32", "quiet": True}
OLD, NEW = ClassSet(("sky", "road", "car", "pole")), ClassSet(("pole", "river", "sky"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tuned") / "scenes"
    write_scenes(path, 16, size=(32, 40), val=0.25, test=0)
    return path


@pytest.fixture(scope="module")
def source(folder):
    """A network that has learnt a little."""
    return intarsia.train(
        folder, out=str(folder.parent / "source"), epochs=1, model_args={"widths": (4, 8)}, **{**TINY, "lr": 1e-2}
    )


def renamed(folder, **names):
    """The same images under other class names."""
    data = intarsia.open_dataset(folder)
    classes = replace(data.classes, names=tuple(names.get(name, name) for name in data.classes.names), things=(), groups=())
    splits = {record.key: record.split for record in data.records}
    samples = [replace(sample, classes=None) for sample in data]
    return Dataset.from_samples(samples, classes, splits=splits)


# -- what is carried over ----------------------------------------------------------------------------------------------------------


def by_class(net):
    """What is said of each class, that first; of regions, which are said in no such order, what their heads would say of noise."""
    torch.manual_seed(1)
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        said = net(images)
        if isinstance(said, Regions):
            return net.regions.box(torch.randn(2, net.arguments["width"], 7, 7))[1].movedim(1, 0)
        return said.classes.movedim(2, 0) if isinstance(said, Queries) else said.logits.movedim(1, 0)


@pytest.mark.parametrize("name", members("models"))
def test_classes_known_by_name_score_as_before_in_every_network(name):
    torch.manual_seed(0)
    known, wanted = spoken(name, OLD), spoken(name, NEW)
    old, new = (find("models", name).tiny(classes.channels).eval() for classes in (known, wanted))
    carry_over(old, known, new, wanted)
    before, after = by_class(old), by_class(new)
    assert torch.allclose(after[0], before[3], atol=1e-5)  # pole
    assert torch.allclose(after[2], before[0], atol=1e-5)  # sky
    assert not torch.allclose(after[1], before[1], atol=1e-3)  # the river is no road


def test_new_classes_keep_their_fresh_weights_and_nothing_meets_nothing():
    torch.manual_seed(0)
    UNet = find("models", "unet")  # noqa: N806
    known, wanted = replace(OLD, nothing=True), replace(NEW, nothing=True)
    old, new = UNet.tiny(known.channels), UNet.tiny(wanted.channels)
    fresh = new.classify.weight.detach().clone()
    carry_over(old, known, new, wanted)
    assert torch.equal(new.classify.weight[1], fresh[1])
    assert torch.equal(new.classify.weight[[0, 2, 3]], old.classify.weight[[3, 0, 4]])
    assert torch.equal(new.classify.bias[[0, 2, 3]], old.classify.bias[[3, 0, 4]])
    new = UNet.tiny(wanted.channels)
    fresh = new.classify.weight.detach().clone()
    carry_over(UNet.tiny(len(OLD)), OLD, new, wanted)  # which knew no nothing
    assert torch.equal(new.classify.weight[3], fresh[3])


def test_as_many_classes_of_other_names_are_not_mistaken_for_the_same():
    UNet = find("models", "unet")  # noqa: N806
    old, new = UNet.tiny(4), UNet.tiny(4)
    carry_over(old, OLD, new, ClassSet(("car", "sky", "tree", "lake")))
    assert torch.equal(new.classify.weight[:2], old.classify.weight[[2, 0]])
    assert not torch.equal(new.classify.weight[2:], old.classify.weight[2:])


@pytest.mark.parametrize("name", members("models"))
def test_a_network_for_rgb_goes_on_with_grey_images_as_if_they_were_rgb(name):
    torch.manual_seed(0)
    old, new = (find("models", name).tiny(len(OLD), channels).eval() for channels in (3, 1))
    for scaling in (old.normalise, new.normalise):
        scaling.mean.fill_(0.5)
        scaling.std.fill_(0.25)
    carry_over(old, OLD, new, OLD, in_channels=1)
    images = torch.randint(0, 256, (1, 1, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        one, other = (tree_leaves(output) for output in (new(images), old(images.expand(1, 3, 64, 64))))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_another_network_is_refused():
    UNet = find("models", "unet")  # noqa: N806
    with pytest.raises(CheckpointError, match=r"encoder.*: expected shape \(16, 3, 3, 3\), received \(8, 3, 3, 3\)"):
        carry_over(UNet(4, widths=(8, 16)), OLD, UNet(3, widths=(16, 16)), NEW)


def test_the_scaling_of_the_source_goes_along_unless_another_is_asked_for(folder, source):
    data = intarsia.open_dataset(folder)
    options = FineTuneOptions().of(str(source.folder))
    found = source_of(options)
    recipe = found.recipe_for(data[0], data, options)
    assert recipe.pixels == source.recipe.pixels
    assert (recipe.model, recipe.arguments) == (source.recipe.model, source.recipe.arguments)
    assert recipe.origin["start_from"] == str(source.folder)
    other = found.recipe_for(data[0], data, replace(options, mean=(0.5,) * 3, std=(0.5,) * 3))
    assert other.pixels == Pixels(mean=(0.5,) * 3, std=(0.5,) * 3)
    wide = replace(data[0], image=np.repeat(data[0].image, 2, axis=-1))
    assert len(found.recipe_for(wide, data, options).pixels.mean) == 6
    four = replace(found, recipe=replace(found.recipe, in_channels=4))
    with pytest.raises(OptionError, match="--start-from: expected a network for images of 6 channels, or of 3, .*, received 4"):
        four.recipe_for(wide, data, options)
    with pytest.raises(OptionError, match="--model: expected unet, which .* is, or none, received segnet"):
        found.recipe_for(data[0], data, replace(options, model="segnet"))
    other = replace(found, recipe=replace(found.recipe, model="segnet"))
    with pytest.raises(OptionError, match="--model: expected segnet, which .* is, or none, received unet"):
        other.recipe_for(data[0], data, replace(options, model="unet"))


# -- stages, freezing and norms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "first", "last"),
    [
        ("resnet18", ["conv1", "bn1"], ["layer4"]),
        ("mobilenetv2_100", ["conv_stem", "bn1", "blocks.0"], ["blocks.5", "blocks.6"]),
        ("test_convnext.r160_in1k", ["stem_0", "stem_1", "stages_0"], ["stages_3"]),
    ],
)
def test_a_stage_ends_where_a_level_of_features_does(encoder, first, last):
    stages = encoder_stages(made := make_encoder(encoder))
    of = {stage: {name for name, own in stages.items() if own == stage} for stage in (0, len(made.channels) - 1)}
    for names, expected in zip(of.values(), (first, last), strict=True):
        assert {part for part in expected for name in names if name.startswith(f"network.{part}.")} == set(expected)
        assert all(name.startswith(tuple(f"network.{part}." for part in expected)) for name in names)


@pytest.mark.parametrize("name", members("models"))
def test_every_network_of_the_catalogue_has_stages(name):
    network = find("models", name).tiny(3)
    assert len(set(encoder_stages(network.encoder).values())) > 1
    assert any(not parameter.startswith("encoder.") for parameter, _ in network.named_parameters())


def test_earlier_stages_learn_more_slowly_and_frozen_norms_not_at_all():
    network = find("models", "unet")(3, encoder="resnet18")
    options = TrainOptions(lr=1.0, encoder_lr_factor=0.5, layer_decay=0.1, freeze_norm=True)
    factors = rate_factors(network, options)
    assert (
        factors["classify.weight"]
        == factors["decoder.0.conv.0.weight" if "decoder.0.conv.0.weight" in factors else "classify.bias"]
        == 1
    )
    assert factors["encoder.network.layer4.0.conv1.weight"] == pytest.approx(0.5)
    assert factors["encoder.network.layer3.0.conv1.weight"] == pytest.approx(0.05)
    assert factors["encoder.network.conv1.weight"] == pytest.approx(0.5e-4)
    assert factors["encoder.network.bn1.weight"] == 0
    groups = parameter_groups(network, options)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    named = dict(network.named_parameters())
    assert rates[id(named["encoder.network.layer2.0.conv1.weight"])] == pytest.approx(0.5e-2)
    assert id(named["encoder.network.bn1.bias"]) not in rates
    assert id(named["classify.bias"]) in rates


def buffers(network):
    return {name: value.clone() for name, value in network.named_buffers() if "running" in name}


@pytest.mark.parametrize(
    ("changes", "done", "still"),
    [
        ({"freeze": 0.2}, 0.1, True),
        ({"freeze": 0.2}, 0.2, False),
        ({"freeze_norm": True}, 0.5, True),
        ({"encoder_lr_factor": 0.0}, 0.9, True),
        ({}, 0.0, False),
    ],
)
def test_statistics_of_a_frozen_encoder_do_not_move_and_those_of_the_decoder_do(changes, done, still):
    network = find("models", "unet").tiny(3)
    learn(network, TrainOptions(**changes), done)
    before = buffers(network)
    network(torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)).logits.sum().backward()
    after = buffers(network)
    moved = {name: not torch.equal(before[name], after[name]) for name in before}
    assert any(name.startswith("encoder.") for name in moved)
    assert all(one != still for name, one in moved.items() if name.startswith("encoder."))
    assert all(one for name, one in moved.items() if not name.startswith("encoder."))
    norms = [module for module in network.encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    frozen = "freeze_norm" not in changes and still
    assert (next(network.encoder.parameters()).grad is None) == frozen
    assert (norms[0].weight.grad is None) == still
    assert network.classify.weight.grad is not None


def test_a_network_without_an_encoder_says_so():
    plain = nn.Conv2d(3, 3, 1)
    for flag, options in {
        "--freeze": TrainOptions(freeze=0.1),
        "--layer-decay": TrainOptions(layer_decay=0.5),
        "--freeze-norm": TrainOptions(freeze_norm=True),
        "--encoder-lr-factor": TrainOptions(encoder_lr_factor=0.1),
    }.items():
        with pytest.raises(OptionError, match=f"{flag}: expected a network with a part called `encoder`, received Conv2d"):
            rate_factors(plain, options)
    assert set(rate_factors(plain, TrainOptions()).values()) == {1.0}


# -- whole trainings ---------------------------------------------------------------------------------------------------------------


def encoder_of(path: Path) -> dict[str, torch.Tensor]:
    return {name: value for name, value in read_tensors(path)[0].items() if name.startswith("encoder.")}


def test_the_encoder_stays_as_it_was_while_it_is_frozen_and_then_learns(folder, source, tmp_path, capsys):
    data = renamed(folder, car="lorry")
    options = {**TINY, "out": str(tmp_path / "run"), "epochs": 2, "freeze": 0.5, "lr": 1e-2, "quiet": False}
    kept = []
    last = tmp_path / "run" / "weights" / "last.safetensors"
    run = intarsia.fine_tune(source, data, callbacks=[lambda _: kept.append(encoder_of(last))], **options)
    before = encoder_of(source.best)
    assert all(torch.equal(before[name], kept[0][name]) for name in before)
    assert not any(torch.equal(before[name], kept[1][name]) for name in before if name.endswith("weight"))
    said = capsys.readouterr().out
    known = len(data.classes) - 1
    assert f"starting from {source.folder}: {known} of {known + 1} classes are known by name; new: lorry" in said
    assert run.options.start_from == str(source.folder.resolve())
    assert json.loads((run.folder / "recipe.json").read_text())["classes"]["names"] == list(data.classes.names)
    assert intarsia.load(run).classes.names == data.classes.names


@pytest.mark.parametrize("at", [3, 5, 8])
def test_a_fine_tuning_broken_off_and_resumed_has_the_weights_of_one_that_was_not(folder, source, tmp_path, monkeypatch, at):
    """Three steps an epoch, the encoder frozen for two epochs: broken off in the first, in the second, after the thaw."""
    options = {**TINY, "epochs": 4, "freeze": 0.5, "checkpoint_steps": 1, "ema": 0.9, "layer_decay": 0.5, "optimizer": "sgd"}
    whole = intarsia.fine_tune(source, folder, out=str(tmp_path / "whole"), **options)
    calls = iter(range(1, 99))
    loss_of = Ingredients.loss_of

    def broken(self, batch):
        if next(calls) > at:
            raise KeyboardInterrupt
        return loss_of(self, batch)

    monkeypatch.setattr(Ingredients, "loss_of", broken)
    with pytest.raises(KeyboardInterrupt):
        intarsia.fine_tune(source, folder, out=str(tmp_path / "broken"), **options)
    monkeypatch.undo()
    progress = read_tensors(tmp_path / "broken" / "state.safetensors")[1]["progress"]
    assert 3 * progress["epoch"] + progress["step"] == at
    resumed = intarsia.resume(tmp_path / "broken", quiet=True)
    once, twice = read_tensors(whole.last)[0], read_tensors(resumed.last)[0]
    assert all(torch.equal(once[name], twice[name]) for name in once)


@pytest.mark.parametrize("half_size", [0.0, 0.5])
def test_the_encoder_thaws_within_an_epoch_and_by_the_clock(folder, source, tmp_path, monkeypatch, half_size):
    """Every look at the clock finds it a second later, so a step takes two: of 33 seconds the first 10 are frozen, five steps."""
    ticks = iter(range(10**6))
    monkeypatch.setattr("intarsia.engine.train.perf_counter", lambda: float(next(ticks)))
    frozen, loss_of = [], Ingredients.loss_of

    def watched(self, batch):
        frozen.append(not any(parameter.requires_grad for parameter in self.bare.encoder.parameters()))
        assert frozen[-1] != self.bare.encoder.training
        return loss_of(self, batch)

    monkeypatch.setattr(Ingredients, "loss_of", watched)
    options = {**TINY, "epochs": 100, "minutes": 33 / 60, "freeze": 0.3, "half_size": half_size}
    intarsia.fine_tune(source, folder, out=str(tmp_path / "run"), **options)
    assert frozen == [True] * 5 + [False] * 12


def test_an_early_stop_waits_for_the_thaw():
    options, progress = TrainOptions(freeze=0.5, early_stop=2), Progress(stale=3)
    assert [is_over(options, progress, done) for done in (0.0, 0.49, 0.5, 1.0)] == [False, False, True, True]
    assert not is_over(options, Progress(stale=1), 0.5)
    assert not is_over(TrainOptions(), progress, 0.99)


def test_options_of_another_command_are_refused(folder, source):
    with pytest.raises(OptionError, match="options: expected FineTuneOptions, received TrainOptions. Pass settings by name"):
        intarsia.fine_tune(source, folder, TrainOptions())


def test_a_fine_tuning_is_reproduced(folder, source, tmp_path):
    run = intarsia.fine_tune(source, folder, out=str(tmp_path / "run"), epochs=1, freeze=0, **TINY)
    assert intarsia.reproduce(run, quiet=True)["largest_weight_difference"] == 0


def test_with_no_step_taken_it_is_the_source(folder, source):
    options = TrainOptions(start_from=str(source.folder), device="cpu")
    parts = Ingredients(intarsia.open_dataset(folder), options, accelerator_for(options))
    given = read_tensors(source.best)[0]
    assert all(torch.equal(value, given[name]) for name, value in parts.bare.state_dict().items())


def test_the_command_and_its_defaults(folder, source, tmp_path, capsys):
    assert main(["fine-tune", str(source.folder), str(folder), "--epochs", "10", "--print-config"]) == 0
    printed = capsys.readouterr().out
    for line in ("lr = 0.0005", "layer_decay = 0.8", f'start_from = "{source.folder}"'):
        assert line in printed.splitlines()
    words = ["--out", str(tmp_path / "run"), "--epochs", "1", "--batch-size", "4", "--device", "cpu", "--quiet"]
    assert main(["fine-tune", str(source.folder), str(folder), *words]) == 0
    assert "mean IoU" in capsys.readouterr().out
    assert main(["fine-tune", str(source.folder), str(folder), "--start-from", "other"]) == 1
    assert "--start-from: expected the source" in capsys.readouterr().err
    assert main(["fine-tune", str(source.folder), str(folder), "--encoder", "resnet18"]) == 1
    assert "brings its own, received resnet18" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_freeze_and_thaw_as_one(tmp_path):
    """Without batch norm and clipping the losses are those of one process, before and after the encoder thaws."""
    write_scenes(tmp_path / "data", 14, size=(24, 32), val=0.3, test=0)
    recipe = {"model": "plain_network:Encoded", "optimizer": "sgd", "lr": 0.1, "epochs": 3, "freeze": 0.34}
    recipe |= {"loss": {"cross_entropy": 1.0}, "augment": False, "device": "cpu", "precision": "fp32", "quiet": True}
    one = intarsia.train(tmp_path / "data", out=str(tmp_path / "one"), batch_size=4, **recipe)
    code = f"import intarsia; intarsia.train({str(tmp_path / 'data')!r}, out={str(tmp_path / 'two')!r}, batch_size=2, **{recipe!r})"
    (tmp_path / "script.py").write_text(code)
    assert HERE.is_dir()
    run_two(tmp_path / "script.py")
    two = intarsia.Run(tmp_path / "two")
    weights = [read_tensors(run.last)[0] for run in (one, two)]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-5) for name in weights[0])
    fresh = Ingredients(intarsia.open_dataset(tmp_path / "data"), one.options, accelerator_for(one.options)).bare.state_dict()
    assert not torch.equal(fresh["encoder.0.weight"], weights[0]["encoder.0.weight"])
