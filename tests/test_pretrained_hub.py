"""Networks of transformers, from folders and the hub's cache; what is told of them, and what no option may set."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file

import intarsia
from intarsia.core import ClassSet, Pixels
from intarsia.core.errors import CheckpointError, DataError, OptionError
from intarsia.core.licences import IMAGENET, Licences
from intarsia.data.dataset import Dataset
from intarsia.data.scenes import CLASSES, scene
from intarsia.engine.checkpoint import write_tensors
from intarsia.engine.ingredients import recipe_for
from intarsia.engine.model_card import model_card
from intarsia.engine.network import Model
from intarsia.engine.options import TrainOptions
from intarsia.engine.recipe import Recipe, build_network
from intarsia.models.encoders.weights import read_state
from intarsia.models.pretrained.converted import Converted


class Malice:
    def __reduce__(self):
        return print, ("this must not be printed",)


@pytest.fixture
def segformer(tmp_path: Path) -> tuple[transformers.SegformerForSemanticSegmentation, Path]:
    """A tiny random one, in a folder as transformers itself writes it."""
    torch.manual_seed(0)
    labels = {index: f"{name}" for index, name in enumerate(("sky", "road", "tree", "car"))}
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32], num_attention_heads=[1, 2, 3, 4], decoder_hidden_size=12, id2label=labels
    )
    reference = transformers.SegformerForSemanticSegmentation(config).eval()
    processor = transformers.SegformerImageProcessor(size={"height": 64, "width": 96}, image_mean=[0.5] * 3, image_std=[0.25] * 3)
    for each in (reference, processor):
        each.save_pretrained(tmp_path / "segformer")
    return reference, tmp_path / "segformer"


def test_a_segformer_that_transformers_saved_answers_as_there(segformer, tmp_path):
    reference, folder = segformer
    image = scene(0, 1, (64, 96)).image
    pixels = (torch.from_numpy(image).movedim(-1, 0)[None] / 255 - 0.5) / 0.25
    with torch.inference_mode():
        logits = reference(pixels).logits
    theirs = torch.nn.functional.interpolate(logits, size=(64, 96), mode="bilinear").argmax(1)[0].numpy()
    model = intarsia.load(folder, device="cpu", precision="fp32")
    assert model.classes.names == ("sky", "road", "tree", "car")
    assert model.recipe.size == (64, 96)
    assert (model(image).semantic(4) == theirs).mean() > 0.999
    again = intarsia.load(model.save_pretrained(tmp_path / "ours"), device="cpu", precision="fp32")
    assert again.recipe == model.recipe
    assert again(image) == model(image)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\ntags: [a]\n---\n# Net\n", "MIT"),
        ("---\nlicense: other\nlicense_name: no-resale\n---\n", "no-resale"),
        ("---\nlicense: other\n---\n", "other"),
        ("# No front matter\nlicense: mit\n", "unknown"),
    ],
)
def test_where_the_publisher_is_unknown_the_card_tells_the_licence(segformer, card, licence):
    _, folder = segformer
    assert intarsia.load(folder).recipe.licences.weights == "unknown"
    (folder / "README.md").write_text(card)
    assert intarsia.load(folder).recipe.licences.weights == licence


TINY = Recipe("unet", ClassSet(("a", "b")), Pixels(), 3, (32, 48), {"widths": [4, 8]})


@pytest.fixture
def offline(segformer, tmp_path, monkeypatch) -> Path:
    """The cache of the hub, in its true layout, with config and weights alone, and no network: its one snapshot."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    model, commit = tmp_path / "cache" / "models--someone--net", "0" * 40
    snapshot = model / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).write_bytes((segformer[1] / name).read_bytes())
    return snapshot


def test_from_the_cache_without_network(segformer, offline):
    """The card and the preprocessor's settings need not be there; config and weights do."""
    with pytest.warns(UserWarning, match=r"going on without (preprocessor_config\.json|README\.md), which is not in the cache"):
        cached = intarsia.load("hf:someone/net", device="cpu", precision="fp32")
    assert cached.recipe.licences.weights == "unknown"
    assert cached.recipe.pixels == Pixels()
    for name in ("preprocessor_config.json", "README.md"):  # known not to be there: nothing to warn of
        marker = offline.parents[1] / ".no_exist" / ("0" * 40) / name
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    assert intarsia.load("hf:someone/net", device="cpu").recipe == cached.recipe
    (offline / "preprocessor_config.json").write_bytes((segformer[1] / "preprocessor_config.json").read_bytes())
    assert intarsia.load("hf:someone/net").recipe.pixels.std == (0.25,) * 3


def test_an_old_bin_file_in_the_cache(offline):
    state = read_state(offline / "model.safetensors")
    (offline / "model.safetensors").unlink()
    with (
        pytest.warns(UserWarning, match="going on without"),
        pytest.raises(CheckpointError, match="hf:someone/net: expected a reachable hub model"),
    ):
        intarsia.load("hf:someone/net")
    torch.save(state, offline / "pytorch_model.bin")
    with pytest.warns(UserWarning, match="going on without"):
        assert len(intarsia.load("hf:someone/net").classes) == 4


def test_what_is_not_in_the_cache_is_out_of_reach(offline):
    with pytest.raises(CheckpointError, match=r"hf:some/other: expected a reachable hub model, or one in the cache, received "):
        intarsia.load("hf:some/other")


def test_the_checkpoint_of_a_newer_version_names_what_is_new(tmp_path):
    header = {**TINY.to_dict(), "origin": {"intarsia": "9.8"}}
    network = build_network(TINY)
    for changed in ({**header, "rotary": 1}, {**header, "licences": {**header["licences"], "rotary": "x"}}):
        write_tensors(tmp_path / "new.safetensors", network.state_dict(), changed)
        with pytest.raises(
            CheckpointError, match=rf"what Intarsia {intarsia.__version__} knows, received 'rotary' .* Intarsia 9\.8"
        ):
            intarsia.load(tmp_path / "new.safetensors")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pixels", "received 'pixels'. To scale the input otherwise, pass --mean and --std."),
        ("channels", "received 'channels'. They are the classes of the data."),
        ("in_channels", "received 'in_channels'. They are those of the images."),
    ],
)
def test_what_no_option_may_set_is_refused(name, text):
    with pytest.raises(OptionError, match=re.escape(f"model 'unet': expected arguments to choose, {text}")):
        build_network(replace(TINY, arguments={name: 3}))


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({"encoder": "resnet18", "weights": "timm"}, f"{IMAGENET}; CC0-1.0"),
        ({"encoder": "resnet18"}, "CC0-1.0"),
        ({"encoder": "resnet18", "weights": "FILE"}, "street scenes, mine; CC0-1.0"),
    ],
)
def test_a_training_tells_what_its_encoder_has_learnt_from(options, data, tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors", {"data": "street scenes, mine"})
    sample = scene(0, 0, (16, 16))
    mine = Dataset.from_samples([sample], CLASSES, splits={sample.key: "train"})
    mine.licence = "CC0-1.0"
    if options.get("weights") == "FILE":
        options = {**options, "weights": str(tmp_path / "x.safetensors")}
    assert recipe_for(sample, mine, TrainOptions(**options)).licences.data == data


def test_images_of_16_bits_are_told_what_to_do():
    model = Model(build_network(TINY), TINY, device="cpu")
    with pytest.raises(DataError, match=r"expected 8-bit values, .* received uint16\. Scale it to 0\.\.255"):
        model(np.zeros((8, 8, 3), np.uint16))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in transformers' layout, and a converter that takes it for a U-Net."""
    network = build_network(TINY)
    state = {key: tensor for key, tensor in network.state_dict().items() if not key.startswith("normalise.")}

    def convert(config, tensors, source):
        licences = Licences(weights="Apache-2.0", data="ADE20K terms")
        names = tuple(config["id2label"].values())
        return Converted("unet", TINY.arguments, names, Pixels(), (32, 48), dict(tensors), licences, source)

    module = ModuleType("from_transformers")
    module.convert = convert
    monkeypatch.setitem(sys.modules, "intarsia.models.pretrained.from_transformers", module)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "config.json").write_text(json.dumps({"model_type": "segformer", "id2label": {"0": "a", "1": "b"}}))
    save_file(state, theirs / "model.safetensors")
    return theirs


def test_a_folder_with_the_config_of_transformers_is_recognised(folder, tmp_path):
    model = intarsia.load(folder, device="cpu")
    assert model.classes.names == ("a", "b")
    assert model.recipe.origin["source"] == folder.as_posix()
    assert model.recipe.licences == Licences(weights="Apache-2.0", data="ADE20K terms")
    saved = intarsia.load(model.save_pretrained(tmp_path / "ours"), device="cpu")  # ours, by its config.json
    assert saved.recipe == model.recipe
    image = scene(0, 0, (40, 40)).image
    assert saved(image) == model(image)


def test_old_bin_files_are_read_without_running_code(folder):
    torch.save(intarsia.load(folder).network.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert intarsia.load(folder).classes.names == ("a", "b")
    torch.save(Malice(), folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="would run their code"):
        intarsia.load(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(CheckpointError, match="expected model.safetensors or pytorch_model.bin beside config.json"):
        intarsia.load(folder)


def test_the_scaling_is_that_of_the_preprocessor(folder):
    told = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25], "do_rescale": True, "rescale_factor": 1 / 127.5}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    model = intarsia.load(folder, device="cpu")
    assert model.recipe.pixels == Pixels(high=127.5, mean=(0.5,) * 3, std=(0.25,) * 3)
    assert model.network.normalise.high.tolist() == [127.5] * 3


def test_the_hub_serves_theirs_and_ours(folder, tmp_path, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    ours = intarsia.load(folder).save_pretrained(tmp_path / "ours")
    asked = []

    def download(name, file, revision=None):
        path = {"them/net": folder, "us/net": ours}[name] / file
        asked.append((name, file, revision))
        if not path.exists():
            raise EntryNotFoundError(file)
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    theirs = intarsia.load("hf:them/net")
    assert theirs.recipe.origin["source"] == "hf:them/net"
    assert ("them/net", "preprocessor_config.json", None) in asked
    assert intarsia.load(Path("hf:us/net")).recipe.origin["source"] == folder.as_posix()


def test_weights_that_do_not_fit_and_configs_that_cannot_be_read_are_named(segformer):
    _, folder = segformer
    state = read_state(folder / "model.safetensors")
    save_file({**state, "stray": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"segformer: expected \d+ tensors that fit the network, received 1 without a place: stray"
    ):
        intarsia.load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json: expected a readable file of JSON"):
        intarsia.load(folder)


@pytest.mark.parametrize(
    ("weights", "lines"),
    [
        ("Apache-2.0", "license: apache-2.0\ntags"),
        ("cc-by-nc-4.0", "license: cc-by-nc-4.0\ntags"),
        (
            "NVIDIA Source Code License (non-commercial)",
            "license: other\nlicense_name: nvidia-source-code-license-non-commercial\ntags",
        ),
        ("unknown", "pipeline_tag: image-segmentation\ntags"),
        ("none", "pipeline_tag: image-segmentation\ntags"),
    ],
)
def test_the_card_tells_the_licence_in_the_words_of_the_hub(weights, lines):
    card = model_card(replace(TINY, licences=Licences(weights=weights)), "net")
    assert lines in card.split("---")[1]
