"""The table of networks: its numbers against counts by hand and by torch, its licences, and how it is shown."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import intarsia
from intarsia.cli import main
from intarsia.cli.table import models_table, table
from intarsia.core.catalogue import find, members
from intarsia.core.errors import OptionError
from intarsia.engine.describe import multiply_adds


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return intarsia.list_models()


@pytest.fixture(scope="module")
def on_resnet() -> list[dict]:
    return intarsia.list_models("resnet18")


def named(rows: list[dict], name: str) -> dict:
    (row,) = [row for row in rows if row["name"] == name]
    return row


def test_every_network_of_the_catalogue_and_of_others_is_listed(rows):
    assert [row["name"] for row in rows if row["kind"] == "network"] == members("models")
    names = [row["name"] for row in rows if row["kind"] == "pretrained"]
    assert "torchvision:deeplabv3_resnet50" in names
    assert "hf:nvidia/segformer-*" in names
    assert not [row for row in rows if "refused" in row]
    json.dumps(rows)


@pytest.mark.parametrize("name", ["unet", "segnet", "deeplabv3_plus"])
def test_parameters_are_those_of_the_real_network(rows, name):
    real = find("models", name)(11)
    row = named(rows, name)
    assert row["parameters"] == sum(parameter.numel() for parameter in real.parameters())
    assert row["about"].split(" (")[0].lower().replace("-", "") in {"unet", "segnet", "deeplabv3+"}
    assert (row["task"], tuple(row["exports"]), row["origin"]) == (" ".join(real.tasks), real.exports, real.origin)


def test_multiply_adds_by_hand_and_the_same_where_nothing_is_computed():
    unet = find("models", "unet")
    # (4, 8) at 6x4: two convolutions, two at half size after the pool, two of the decoder over 8 + 4 channels, and the 1x1
    by_hand = 24 * 9 * (3 * 4 + 4 * 4) + 6 * 9 * (4 * 8 + 8 * 8) + 24 * 9 * (12 * 4 + 4 * 4) + 24 * 4 * 11
    net = unet(11, widths=(4, 8)).train()
    assert multiply_adds(net, (6, 4)) == by_hand
    assert net.training
    with torch.device("meta"):
        assert multiply_adds(unet(11, widths=(4, 8)), (6, 4)) == by_hand


def test_multiply_adds_agree_with_a_count_by_hooks(on_resnet):
    net = find("models", "unet")(11, encoder="resnet18").eval()
    counted = []

    def count(conv: nn.Conv2d, _, output: torch.Tensor) -> None:
        kernel = conv.kernel_size[0] * conv.kernel_size[1] * conv.in_channels // conv.groups
        counted.append(output.numel() * kernel)

    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        net(torch.zeros(1, 3, 360, 480))
    assert named(on_resnet, "unet")["multiply_adds"] == sum(counted)


def test_torchvisions_sizes_are_those_torchvision_records(rows):
    """Without the auxiliary head, which its record counts too: 256 channels of 3x3 over 1024, their norm, and 21 scores."""
    from torchvision.models import get_model_weights

    head = 1024 * 256 * 9 + 2 * 256 + 256 * 21 + 21
    for name in ("deeplabv3_resnet50", "fcn_resnet50"):
        recorded = get_model_weights(name).DEFAULT.meta["num_params"]
        assert named(rows, f"torchvision:{name}")["parameters"] == recorded - head
    lraspp = get_model_weights("lraspp_mobilenet_v3_large").DEFAULT.meta["num_params"]
    assert named(rows, "torchvision:lraspp_mobilenet_v3_large")["parameters"] == lraspp


def test_an_encoder_is_taken_by_those_that_can_and_the_others_say_why(rows, on_resnet):
    assert all(row["encoder"] == "resnet18" for row in on_resnet)
    assert {row["name"] for row in on_resnet} == {row["name"] for row in rows if row["kind"] == "network"} - {
        "bisenetv2",
        "ddrnet",
        "encoder_decoder",
    }
    segnet = named(on_resnet, "segnet")
    assert (segnet["parameters"], segnet["multiply_adds"]) == (None, None)
    assert "expected a VGG" in segnet["refused"]
    shown = models_table(on_resnet)
    assert "Not segnet: encoder: expected a VGG, received resnet18" in " ".join(shown.split())
    assert not [line for line in shown.splitlines() if line.startswith("segnet")]


def test_equal_reasons_are_told_once(on_resnet):
    twice = [{**row, "refused": "too coarse"} if row["name"] in ("unet", "fcn") else row for row in on_resnet]
    assert "\nNot fcn, unet: too coarse\n" in models_table(twice)


@pytest.mark.parametrize(
    ("encoder", "text"),
    [
        ("resnet18.a1_in2k", r"a tag of weights that timm has\. Did you mean 'resnet18.a1_in1k'"),
        ("resnt18", "Did you mean 'resnet18'"),
        ("mit_b7", "Did you mean 'mit_b0'|mit_b0 to mit_b5"),
    ],
)
def test_an_encoder_that_is_not_there_is_told_once(encoder, text, capsys):
    with pytest.raises(OptionError, match=text):
        intarsia.list_models(encoder)
    assert main(["models", "--encoder", encoder]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("expected") == 1


@pytest.mark.parametrize("encoder", ["googlenet", "mit_b0"])
def test_encoders_of_our_own_have_no_weights_at_timm(encoder, monkeypatch):
    from intarsia.engine import describe

    monkeypatch.setattr(describe, "members", lambda family: ["bisenetv2", "segformer", "unet"])
    rows = intarsia.list_models(encoder, license="commercial")
    assert [row["name"] for row in rows if "refused" not in row] == ["segformer", "unet"]
    assert all(row["timm_weights"] is None for row in rows)
    assert named(rows, "unet")["parameters"] > 3e6
    monkeypatch.setenv("COLUMNS", "160")
    header, first, *_ = models_table(rows).splitlines()
    assert first[header.index("timm weights") :].split()[0] == "none"


def test_the_licence_of_timms_weights_is_told_beside_that_of_the_network(rows):
    told = {row["name"]: row["timm_weights"] for row in rows if row["kind"] == "network"}
    assert (told["upernet"], told["segnet"], told["segformer"], told["bisenetv2"]) == ("Apache-2.0", "BSD-3-Clause", None, None)
    assert all(
        row["licences"] == {"code": "Apache-2.0", "weights": "none", "data": "none"} for row in rows if row["kind"] == "network"
    )


def test_the_commercial_ones_are_those_whose_licences_are_known_to_allow_it(rows, monkeypatch):
    from intarsia.engine import describe

    parts = {"_networks": rows[: len(members("models"))], "_of_torchvision": rows[len(members("models")) :], "_of_transformers": []}
    for name, part in parts.items():
        monkeypatch.setattr(describe, name, lambda *_, part=part: part)
    free = {"name": "torchvision:free", "licences": {"code": "Apache-2.0", "weights": "MIT", "data": "unknown"}}
    parts["_of_transformers"].append(free)
    kept = [row["name"] for row in intarsia.list_models(license="commercial")]
    ours = [
        "bisenetv2", "ddrnet", "deeplabv3", "deeplabv3_plus", "dilated_fcn", "encoder_decoder", "eomt", "fcn", "lraspp",
        "mask2former", "mask_rcnn", "panoptic_deeplab", "panoptic_fpn", "pspnet", "segformer", "segnet", "unet", "unet_plus_plus",
        "upernet", "yolact",
    ]  # fmt: skip
    assert kept == [*ours, "torchvision:free"]
    assert {row["name"] for row in rows} - set(ours) >= {
        "torchvision:fcn_resnet50",
        "hf:nvidia/segformer-*",
        "hf:openmmlab/upernet-*",
    }
    with pytest.raises(OptionError, match="license: expected 'commercial' or none, received 'free'"):
        intarsia.list_models(license="free")


def test_the_latency_is_measured_where_asked(monkeypatch):
    from intarsia.engine import describe

    monkeypatch.setattr(describe, "members", lambda family: ["lraspp"])
    monkeypatch.setattr(describe, "_of_torchvision", lambda device: [])
    monkeypatch.setattr(describe, "SIZE", (36, 48))
    row = intarsia.list_models(measure=True, device="cpu")[0]
    assert row["latency_ms"] > 0
    assert (row["device"], row["precision"] in ("fp32", "bf16"), row["threads"]) == ("cpu", True, torch.get_num_threads())
    assert row["memory_mib"] is None
    shown = models_table([row])
    assert shown.splitlines()[0].split()[:5] == ["name", "params", "mult-adds", "ms", "code"]
    assert "ms: median of a prediction, from the image to labels at its size," in shown
    assert f"on cpu, {row['precision']}, threads: {row['threads']}." in " ".join(shown.split())


def test_what_is_timed_is_a_whole_prediction(monkeypatch):
    """Each round decodes, at the size of the image, what the network says in numpy."""
    from intarsia.decode.semantic import semantic
    from intarsia.engine import describe

    decoded = []

    def decode(output, sizes, classes):
        assert isinstance(output.logits, np.ndarray)
        decoded.extend(semantic(output, sizes, classes))

    real = describe.find
    monkeypatch.setattr(describe, "find", lambda family, name: decode if family == "decode" else real(family, name))
    facts = describe.measured(find("models", "lraspp")(11), torch.device("cpu"))
    assert len(decoded) == describe.WARM_UP + describe.ROUNDS
    assert {segments.size for segments in decoded} == {(360, 480)}
    assert list(facts) == ["latency_ms", "memory_mib", "device", "precision", "threads"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_the_terminal_and_names_stay_whole(rows, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = models_table(rows).splitlines()
    assert max(map(len, lines)) <= width
    first = [line.split()[0] for line in lines if line.strip()]
    assert {row["name"] for row in rows} <= set(first)
    assert sum(line.startswith("all") for line in lines) == 2  # torchvision's: those for pixels, those for objects


def test_a_pipe_takes_one_line_for_each(rows, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(intarsia, "list_models", lambda *_, **__: rows, raising=False)
    assert main(["models"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("unet ")]
    assert line.split() == [
        "unet",
        "31.4",
        "M",
        "147.1",
        "G",
        "Apache-2.0",
        "-",
        "semantic;",
        "exports",
        "torch,",
        "onnx,",
        "openvino;",
        "Ronneberger",
        "et",
        "al.",
        "2015,",
        "arXiv",
        "1505.04597",
    ]


def test_columns_are_aligned_folded_and_told_once():
    rows = [
        {"n": "a", "x": "1", "none": "", "use": "same", "t": "some words that go on, on and on, and on to the end-of-it"},
        {"n": "bb", "x": "22", "none": "", "use": "same", "t": "short"},
    ]
    assert table(rows, right=["x"], width=60).splitlines() == [
        "n    x  t",
        "a    1  some words that go on, on and on, and on to the",
        "        end-of-it",
        "bb  22  short",
        "all   use: same",
    ]
    assert (
        table(rows, right=["x"], kept=["use"], width=80).splitlines()[1]
        == "a    1  same  some words that go on, on and on, and on to the end-of-it"
    )
    assert table(rows, right=["x"], width=42).splitlines() == [
        "n    x",
        "      t",
        "a    1",
        "      some words that go on, on and on,",
        "      and on to the end-of-it",
        "bb  22",
        "      short",
        "all   use: same",
    ]
