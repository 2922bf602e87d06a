"""Networks that others have trained, by name: found, downloaded with their hash checked, read without running code, and used."""

from __future__ import annotations

import hashlib
import io
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

import intarsia
from intarsia.cli import main
from intarsia.core import ClassSet
from intarsia.core.errors import CheckpointError, OptionError
from intarsia.data.dataset import Dataset
from intarsia.data.images import write_image
from intarsia.data.scenes import CLASSES, scene
from intarsia.models.encoders.weights import read_state

NAME = "torchvision:lraspp_mobilenet_v3_large"


def random_lraspp(channels: int = 21) -> torch.nn.Module:
    """The reference in its true shape, batch norms no longer at their neutral start."""
    torch.manual_seed(0)
    net = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=channels)
    for key, tensor in net.state_dict().items():
        if key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    return net.eval()


@pytest.fixture(scope="module")
def reference() -> torch.nn.Module:
    return random_lraspp()


@pytest.fixture
def weights(reference: torch.nn.Module, tmp_path: Path) -> Path:
    torch.save(reference.state_dict(), tmp_path / "mine.pth")
    return tmp_path / "mine.pth"


def answer_of(reference: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    """(H, W): what torchvision itself makes of an image, by its own preset."""
    preset = torchvision.transforms._presets.SemanticSegmentation(resize_size=None)
    with torch.inference_mode():
        return reference(preset(torch.from_numpy(image).movedim(-1, 0))[None])["out"].argmax(1)[0].numpy()


# -- torchvision -------------------------------------------------------------------------------------------------------------


def test_from_a_file_it_answers_as_torchvision_does(reference, weights):
    image = scene(0, 1, (520, 520)).image
    model = intarsia.load(NAME, file=weights, device="cpu", precision="fp32")
    assert model.recipe.classes.names[15] == "person"
    assert model.recipe.origin["source"] == NAME
    same = answer_of(reference, image) == model(image).semantic(21)
    assert same.mean() > 0.9999  # a different order of sums decides ties differently
    assert intarsia.load(NAME, file=weights, device="cpu", precision="fp32", flip=True)(image).size == (520, 520)


def test_a_safetensors_file_and_a_training_checkpoint_are_read_too(reference, weights, tmp_path):
    state = reference.state_dict()
    save_file(state, tmp_path / "x.safetensors")
    torch.save({"model": state, "epoch": 3}, tmp_path / "train.pth")
    for file in ("x.safetensors", "train.pth"):
        read = read_state(tmp_path / file)
        assert read.keys() == state.keys()
        assert all(torch.equal(read[name], state[name]) for name in state)


def test_saved_again_it_loads_back_identically(weights, tmp_path):
    model = intarsia.load(NAME, file=weights, device="cpu", precision="fp32")
    again = intarsia.load(model.save_pretrained(tmp_path / "saved"), device="cpu", precision="fp32")
    assert again.recipe == model.recipe
    states = again.network.state_dict(), model.network.state_dict()
    assert all(torch.equal(*(state[name] for state in states)) for name in states[1])
    assert "translated from" in (tmp_path / "saved" / "README.md").read_text()


def served(monkeypatch, tmp_path, content: bytes, prefix: str) -> list[str]:
    """torch.hub finds `content` at the address of the weights, whose name promises a hash beginning with `prefix`."""
    asked = []

    class Answer(io.BytesIO):
        def info(self):
            return Message()

    def urlopen(request, *_, **__):
        asked.append(request.full_url)
        return Answer(content)

    url = f"https://example.org/lraspp-{prefix}.pth"
    record = SimpleNamespace(DEFAULT=SimpleNamespace(url=url))
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: record)
    monkeypatch.setattr(torch.hub, "urlopen", urlopen)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    return asked


def test_downloaded_once_with_the_hash_in_its_name_checked(weights, tmp_path, monkeypatch, capsys):
    content = weights.read_bytes()
    asked = served(monkeypatch, tmp_path, content, hashlib.sha256(content).hexdigest()[:8])
    models = [intarsia.load(NAME, device="cpu") for _ in range(2)]
    assert len(asked) == 1  # the second lay in the cache
    assert capsys.readouterr().out == ""  # which may be taken for JSON
    assert models[0].recipe.licences.weights == "BSD-3-Clause; the data may add terms"
    write_image(tmp_path / "a.png", scene(0, 0, (64, 96)).image)
    assert main(["predict", NAME, str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert (tmp_path / "out" / "a.png").is_file()


def test_another_file_under_its_address_is_refused(weights, tmp_path, monkeypatch):
    served(monkeypatch, tmp_path, weights.read_bytes(), "00000000")
    with pytest.raises(CheckpointError, match=r"expected a whole download of https.*pth, .* received invalid hash value"):
        intarsia.load(NAME)


def test_without_network_it_says_what_to_do(tmp_path, monkeypatch):
    served(monkeypatch, tmp_path, b"", "00000000")

    def fail(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr(torch.hub, "urlopen", fail)
    with pytest.raises(CheckpointError, match=rf"received no route\. Fetch it .* name {NAME}=PATH/lraspp-00000000\.pth"):
        intarsia.load(NAME)


def test_only_torchvisions_own_file_carries_its_licence(weights, tmp_path, monkeypatch):
    mine = intarsia.load(NAME, file=weights, device="cpu").recipe.licences
    assert (mine.weights, mine.data, mine.commercial) == ("unknown", "unknown", False)
    content = weights.read_bytes()
    served(monkeypatch, tmp_path, content, hashlib.sha256(content).hexdigest()[:8])
    theirs = intarsia.load(NAME, file=weights, device="cpu").recipe.licences
    assert (theirs.code, theirs.weights) == ("Apache-2.0", "BSD-3-Clause; the data may add terms")
    assert not theirs.commercial  # torchvision's README does not say that it is


def test_an_unknown_name_or_a_file_without_one_is_told():
    with pytest.raises(
        OptionError, match=r"torchvision:NAME: .* received lraspp_mobilenet\. Did you mean 'lraspp_mobilenet_v3_large'"
    ):
        intarsia.load("torchvision:lraspp_mobilenet")
    with pytest.raises(OptionError, match=r"file: expected a source torchvision:NAME .* received runs/x"):
        intarsia.load("runs/x", file="x.pth")


class Malice:
    def __reduce__(self):
        return print, ("this must not be printed",)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (Malice(), "expected tensors by name in a .safetensors file or a .pth file .* would run their code"),
        ({"a": 3}, "expected tensors by name, received something else"),
        (None, "received no such file"),
    ],
)
def test_code_in_a_file_is_not_run(content, text, tmp_path, capsys):
    if content is not None:
        torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=text):
        intarsia.load(NAME, file=tmp_path / "x.pth")
    assert capsys.readouterr().out == ""


def test_the_command_line_takes_a_file_too(reference, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = scene(0, 0, (64, 96)).image
    write_image(tmp_path / "a.png", image)
    assert main(["predict", f"{NAME}=mine.pth", "a.png", "--out", "out", "--device", "cpu", "--precision", "fp32"]) == 0
    by_hand = intarsia.load(NAME, file=weights, device="cpu", precision="fp32")
    by_name = intarsia.load(f"{NAME}={weights}", device="cpu", precision="fp32")
    assert by_name.recipe == by_hand.recipe
    assert by_name(image) == by_hand(image)
    with pytest.raises(CheckpointError, match=r"x\.pth: expected a file of weights, received no such file"):
        intarsia.load(f"{NAME}=x.pth")


def test_their_file_without_its_name_is_told_where_it_is_taken(weights):
    with pytest.raises(CheckpointError, match=r"mine\.pth: expected a whole \.safetensors file, .* name it torchvision:NAME=FILE"):
        intarsia.load(weights)


def test_it_is_evaluated_like_any_other(tmp_path):
    torch.save(random_lraspp(len(CLASSES)).state_dict(), tmp_path / "eight.pth")
    model = intarsia.load(NAME, file=tmp_path / "eight.pth", device="cpu")
    classes = ClassSet(model.classes.names)
    samples = [scene(0, index, (48, 64)) for index in range(2)]
    data = Dataset.from_samples(samples, classes, splits={sample.key: "test" for sample in samples})
    assert 0 <= intarsia.evaluate(model, data).pixel_accuracy <= 1
