"""Instance and panoptic segmentation through the same loop, commands and files as the semantic one."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import intarsia
from intarsia.cli import main
from intarsia.core import Dense, Sample, Segments
from intarsia.core.catalogue import find
from intarsia.core.errors import DataError, LabelError, OptionError, PairingError
from intarsia.data.dataset import Dataset
from intarsia.data.images import read_image
from intarsia.decode import flipped
from intarsia.engine.checkpoint import read_tensors
from intarsia.engine.measures import Measures
from intarsia.engine.options import TrainOptions
from intarsia.engine.predicting import predict_files

NETWORKS = ["mask2former", "mask_rcnn", "panoptic_deeplab", "panoptic_fpn", "yolact"]


def small(model):
    """The arguments of the model's small twin."""
    arguments = find("models", model).tiny(3).arguments
    given = ("channels", "in_channels", "pixels", "things")
    return {name: value for name, value in arguments.items() if name not in given and value is not None}


def options(model, **more):
    return {
        "model": model,
        "model_args": small(model),
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
        "epochs": 2,
        "batch_size": 2,
        "lr": 1e-3,
        **more,
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects") / "data"
    return intarsia.convert(intarsia.scenes(10, size=(48, 64), val=0.2, test=0.2), folder, "coco_panoptic")


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """A short training of each network."""
    root = tmp_path_factory.mktemp("runs")
    return {name: intarsia.train(data, out=root / name, quiet=True, **options(name)) for name in NETWORKS}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_goes_by_its_task_and_leaves_a_run(runs, name):
    run, model = runs[name], find("models", name)
    task = model.tasks[0]
    assert (run.options.task, run.options.loss) == (task, model.losses)
    assert run.options.trained == {"instance": "things", "panoptic": "all"}[task]
    assert run.recipe.classes.nothing  # it may always say that there is none
    headline = {"instance": "mask_ap", "panoptic": "pq"}[task]
    assert headline in run.metrics
    assert f"val_{headline}" in read_tensors(run.best)[1]["origin"]
    with (run.folder / "metrics.csv").open() as file:
        assert f"val_{headline}" in next(csv.reader(file))
    assert list((run.folder / "val").glob("worst_1_*.png"))
    assert (run.folder / "curves.png").exists()


@pytest.mark.parametrize("name", NETWORKS)
def test_one_set_of_weights_answers_all_that_it_can(runs, data, name):
    for task in find("models", name).tasks:
        scores = intarsia.evaluate(runs[name], split="test", task=task)
        assert scores.images == 2
        answer = intarsia.load(runs[name], task=task)(data[0].image)
        assert answer.size == (48, 64)
        assert len(answer.ids) == 1 or task == "instance"


@pytest.mark.parametrize("name", ["mask2former", "mask_rcnn"])
def test_killed_and_resumed_it_has_the_same_weights(data, tmp_path, name):
    whole = intarsia.train(data, out=tmp_path / "whole", quiet=True, **options(name, checkpoint_steps=1))

    class Kill(Exception):
        pass

    def kill(row):
        raise Kill

    with pytest.raises(Kill):
        intarsia.train(data, out=tmp_path / "killed", quiet=True, callbacks=[kill], **options(name, checkpoint_steps=1))
    again = intarsia.resume(tmp_path / "killed", quiet=True)
    for key, tensor in read_tensors(whole.last)[0].items():
        assert torch.equal(tensor, read_tensors(again.last)[0][key]), key


def test_predictions_are_files_that_others_read(runs, data, tmp_path):
    images = [record.image for record in data.records[:2]]
    intarsia.predict(runs["panoptic_deeplab"], images, out=tmp_path / "panoptic")
    assert len(list((tmp_path / "panoptic").glob("*_overlay.png"))) == 2
    intarsia.predict(runs["mask_rcnn"], images, out=tmp_path / "instance")
    assert list((tmp_path / "instance").glob("*.csv"))


def test_a_task_it_cannot_answer_and_a_threshold_it_does_not_have(runs, data):
    with pytest.raises(OptionError, match="--task: expected one that mask_rcnn answers: instance, received panoptic"):
        intarsia.load(runs["mask_rcnn"], task="panoptic")
    with pytest.raises(OptionError, match="--task: expected one that unet answers: semantic"):
        intarsia.train(data, model="unet", task="instance")
    with pytest.raises(OptionError, match=r"decoder 'instance': expected one of its thresholds .*'scor'.*Did you mean 'score'"):
        intarsia.load(runs["mask_rcnn"], decode_args={"scor": 0.3})


def test_thresholds_travel_with_the_weights_and_can_be_asked_otherwise(data, tmp_path):
    run = intarsia.train(data, out=tmp_path / "run", quiet=True, **options("yolact", epochs=1, decode_args={"score": 0.9}))
    model = intarsia.load(run)
    assert model.recipe.decode == {"score": 0.9}
    assert len(model(data[0].image)) <= len(intarsia.load(run, decode_args={"score": 0.001})(data[0].image))
    assert json.loads((run.folder / "recipe.json").read_text())["decode"] == {"score": 0.9}
    assert TrainOptions(decode_args={"score": 0.9}).decode_args == run.options.decode_args


def test_shown_are_the_instances_that_are_surer_than_not(runs, data):
    model = intarsia.load(runs["mask_rcnn"], decode_args={"score": 0.0})
    every = model(data[0].image)
    assert np.array_equal(model.shown(data[0].image).scores, every.scores[every.scores >= 0.5])


# -- two networks ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unet(data, tmp_path_factory):
    """A network of classes of pixels on the same data."""
    return intarsia.train(data, out=tmp_path_factory.mktemp("unet") / "run", quiet=True, **options("unet", epochs=1))


def test_networks_of_two_tasks_are_compared_by_the_one_that_both_answer(runs, unet):
    found = intarsia.compare(unet, runs["mask2former"], task="semantic")
    for name, run in (("a", unet), ("b", runs["mask2former"])):
        alone = intarsia.evaluate(run, task="semantic")
        assert getattr(found.scores["semantic"]["mean_iou"], name) == pytest.approx(alone.mean_iou)


def test_two_tasks_are_told_before_an_image_is_read(runs, unet, monkeypatch):
    monkeypatch.setattr(Dataset, "__getitem__", lambda self, index: pytest.fail("an image was read"))
    with pytest.raises(
        OptionError, match="compare: expected one task of both networks, received semantic of A, panoptic of B.*--task semantic"
    ):
        intarsia.compare(unet, runs["mask2former"])
    with pytest.raises(OptionError, match="received semantic of A, instance of B. There is none that both can answer."):
        intarsia.compare(unet, runs["yolact"])


def test_thresholds_go_to_both_networks(runs):
    found = intarsia.compare(runs["mask_rcnn"], runs["yolact"], decode_args={"score": 1.0}, measures=["counting"])
    assert found.scores["counting"]["mae"].a == found.scores["counting"]["mae"].b > 0  # neither finds any


# -- mirror images -----------------------------------------------------------------------------------------------------------------


def centred(image, *, stats=None):
    """Exact scores of the one bright object of an image: what its mirror image gives is all mirrored."""
    bright = image[..., 0] > 0
    rows, columns = np.nonzero(bright)
    y, x = rows.mean(), columns.mean()
    down, across = np.indices(bright.shape)
    heat = 1 / (1 + (down - y) ** 2 + (across - x) ** 2)
    return Dense(np.stack([~bright, bright])[None], heat[None, None], np.stack([y - down, x - across])[None])


def leaning(image, *, stats=None):
    """The same, but all of it is drawn to the right."""
    exact = centred(image)
    ramp = np.linspace(-1, 1, image.shape[1])
    return Dense(exact.logits + ramp, exact.centre + ramp, exact.offset + np.array([0, 3])[:, None, None])


def test_mirrored_centres_and_offsets_are_averaged_too():
    image = np.zeros((8, 11, 1), np.uint8)
    image[2:5, 6:9] = 1
    exact, steady = centred(image), flipped(leaning)(image)
    for name in ("logits", "centre", "offset"):
        np.testing.assert_allclose(getattr(steady, name), getattr(exact, name), atol=1e-6)
        np.testing.assert_allclose(getattr(flipped(centred)(image), name), getattr(exact, name), atol=1e-6)
    assert flipped(lambda image, stats=None: Dense(exact.logits))(image).offset is None


@pytest.mark.parametrize("name", ["mask2former", "mask_rcnn", "panoptic_fpn", "yolact"])
def test_networks_of_sets_are_not_flipped(runs, data, name, tmp_path):
    told = f"--flip: expected a network that scores each pixel, received {name}, which is trained with "
    with pytest.raises(OptionError, match=told):
        intarsia.load(runs[name], flip=True)
    with pytest.raises(OptionError, match=told):
        intarsia.evaluate(runs[name], flip=True)
    with pytest.raises(OptionError, match=told):
        intarsia.predict(intarsia.load(runs[name]), data.records[0].image, out=tmp_path, flip=True)
    assert not list(tmp_path.iterdir())


def test_a_network_of_centres_is_flipped(runs):
    assert intarsia.evaluate(runs["panoptic_deeplab"], flip=True).images == 2


# -- files -------------------------------------------------------------------------------------------------------------------------


class Careless:
    """Answers with the truth, but for the first object, of which a half is left; the surer the further down."""

    def __init__(self, data, task):
        things = tuple(name for name in data.classes.names if name in data.classes.things)
        classes = data.classes if task == "panoptic" else replace(data.classes, names=things, colours=(), groups=(), nothing=True)
        self.classes, self.recipe, self.truths = classes, SimpleNamespace(task=task, classes=classes), {}
        table = data.classes.table_to(classes)
        for record, sample in zip(data.records, data, strict=True):
            truth = sample.segments.select(table[sample.segments.classes] >= 0)
            ids = truth.ids.copy()
            thing = np.flatnonzero(data.classes.is_thing[truth.classes])[:1]
            ids[:, :, ::2][ids[:, :, ::2] == thing + 1] = 0
            scores = np.linspace(0.5, 1, len(truth), dtype=np.float32)
            self.truths[record.image] = Segments(ids, table[truth.classes], scores=scores)

    def predict(self, file, *, min_score, spacing):
        return Sample(read_image(file), self.truths[file], classes=self.classes)


def written(data, task, out):
    """What is left of the answers for the split test, and the scores of the answers themselves."""
    part = data.split("test")
    model, metric = Careless(part, task), Measures(part.classes, task, {"counting": {}})
    table = model.classes.table_to(part.classes)
    predict_files(model, [record.image for record in part.records], out)
    for record, sample in zip(part.records, part, strict=True):
        answer = model.truths[record.image]
        metric.update(sample.segments, answer.with_classes(table[answer.classes]), record.key)
    return metric.compute()


@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_objects_in_files_score_as_the_answers_do(data, task, tmp_path, capsys):
    scores = written(data, task, tmp_path / "answers")
    found = intarsia.evaluate_folders(data.root, tmp_path / "answers", task=task, measures=["counting"], out=tmp_path / "scores")
    assert found.to_dict() == scores.to_dict()
    assert 0 < found[{"instance": "mask_ap", "panoptic": "pq"}[task]] < 1
    assert intarsia.compare(tmp_path / "scores", tmp_path / "scores").images == 2
    words = ["evaluate", "--truth", str(data.root), "--prediction", str(tmp_path / "answers"), "--task", task, "--json"]
    assert main([*words, "--measures", "counting"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(scores.to_dict()))


def test_the_files_of_a_network_score_as_the_network(runs, data, tmp_path):
    images = [record.image for record in data.split("test").records]
    intarsia.predict(runs["panoptic_deeplab"], images, out=tmp_path)
    found, direct = intarsia.evaluate_folders(data.root, tmp_path, task="panoptic"), intarsia.evaluate(runs["panoptic_deeplab"])
    assert json.dumps(found.to_dict()) == json.dumps(direct.to_dict())  # nan too


def test_a_data_set_is_scored_against_another(data, tmp_path):
    part = data.split("test")
    turned = intarsia.convert(part, tmp_path / "turned", "coco_panoptic")
    scores = intarsia.evaluate_folders(data.root, turned.root, task="panoptic")
    assert (scores["pq"], scores.images) == (1.0, 2)
    semantic = intarsia.evaluate_folders(data.root, turned.root)  # no label files here either
    assert semantic.mean_iou == 1.0


def test_the_classes_of_objects_in_files_are_scored(data, tmp_path):
    scores = written(data, "panoptic", tmp_path)
    assert 0.5 < intarsia.evaluate_folders(data.root, tmp_path).mean_iou < 1
    written(data, "instance", tmp_path)  # its maps of numbers are not taken for classes, nor its objects for panoptic ones
    assert 0.5 < intarsia.evaluate_folders(data.root, tmp_path).mean_iou < 1
    assert intarsia.evaluate_folders(data.root, tmp_path, task="panoptic")["pq"] == scores["pq"]


def test_objects_are_scored_without_torch(data, tmp_path):
    written(data, "instance", tmp_path)
    code = (
        "import sys; from intarsia.cli import main; "
        f"code = main(['evaluate', '--truth', {str(data.root)!r}, '--prediction', {str(tmp_path)!r}, '--task', 'instance']); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "mask_ap" in done.stdout


def test_what_is_wrong_with_predictions_in_files(data, tmp_path):
    written(data, "panoptic", tmp_path)
    keys = data.split("val").keys
    with pytest.raises(
        PairingError,
        match=f"a prediction of each image of .*, received none of {keys[0]}, .* It has .*, of which there is no truth",
    ):
        intarsia.evaluate_folders(data.root, tmp_path, task="panoptic", split="val")
    with pytest.raises(OptionError, match="split 'vall'.*Did you mean 'val'"):
        intarsia.evaluate_folders(data.root, tmp_path, task="panoptic", split="vall")
    with pytest.raises(OptionError, match="--task: expected one of semantic, instance, panoptic, received boundary"):
        intarsia.evaluate_folders(data.root, tmp_path, task="boundary")
    with pytest.raises(OptionError, match="--classes: expected none for objects"):
        intarsia.evaluate_folders(data.root, tmp_path, task="panoptic", classes="classes.txt")
    with pytest.raises(OptionError, match="--measures calibration: expected a network"):
        intarsia.evaluate_folders(data.root, tmp_path, task="panoptic", measures=["calibration"])
    told = json.loads((tmp_path / "panoptic.json").read_text())
    told["annotations"][0]["segments_info"][0]["category_id"] = 99
    (tmp_path / "panoptic.json").write_text(json.dumps(told))
    with pytest.raises(LabelError, match="categories that it lists, received category_id 99"):
        intarsia.evaluate_folders(data.root, tmp_path, task="panoptic")
    told["info"]["classes"]["names"][0] = "lawn"
    told["info"]["classes"]["groups"] = []
    told["annotations"][0]["segments_info"][0]["category_id"] = 1
    (tmp_path / "panoptic.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match="expected classes among .*, received .*lawn"):
        intarsia.evaluate_folders(data.root, tmp_path, task="panoptic")


def test_a_prediction_may_lack_the_folders_of_a_key(data, tmp_path):
    """As `predict` leaves it, of images in folders; unless two images share the name."""
    scores = written(data, "instance", tmp_path / "answers")
    part = data.split("test")
    nested = Dataset.from_samples((replace(sample, key=f"town/{sample.key}") for sample in part), part.classes)
    truth = intarsia.convert(nested, tmp_path / "nested", "coco_panoptic")
    assert truth.keys == [f"town/{key}" for key in part.keys]
    assert intarsia.evaluate_folders(truth.root, tmp_path / "answers", task="instance")["mask_ap"] == scores["mask_ap"]
    twice = [replace(sample, key=f"{town}/{sample.key}") for sample in part for town in ("here", "there")]
    both = intarsia.convert(Dataset.from_samples(twice, part.classes), tmp_path / "twice", "coco_panoptic")
    with pytest.raises(PairingError, match=f"received none of here/{part.keys[0]}"):
        intarsia.evaluate_folders(both.root, tmp_path / "answers", task="instance")
