"""FCN beyond its family's contract: counts, bilinear starts, alignment, skips, encoders. Its VGG is in test_models_vgg.py."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, interpolate

from intarsia.core.errors import OptionError
from intarsia.models.blocks.bilinear import Bilinear, bilinear_kernel
from intarsia.models.fcn import FCN, Scores

NARROW = (4, 6, 8, 10, 12, 16)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def parameters(**options: Any) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in FCN(21, **options).parameters())


def test_the_papers_parameters() -> None:
    """134 M in table 1 for VGG16 with the 21 classes of PASCAL VOC; the rest is the arithmetic of its Caffe files."""
    convolutions = 14_714_688
    fully = 4096 * (512 * 49 + 1) + 4096 * (4096 + 1)
    scores = 21 * (4096 + 1) + 21 * (512 + 1) + 21 * (256 + 1)
    twice, eight_times = 21 * 21 * 4 * 4, 21 * 21 * 16 * 16
    assert parameters(upsampling="learnt") == convolutions + fully + scores + 2 * twice + eight_times == 134_489_759
    assert parameters() == 134_489_759 - eight_times  # what is fixed is no parameter
    assert parameters(upsampling="fixed") == convolutions + fully + scores
    assert parameters(stride=16, upsampling="fixed") == convolutions + fully + scores - 21 * 257
    assert parameters(stride=32) == convolutions + fully + 21 * 4097


# -- up-sampling -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 3, 8, 32])
def test_the_kernel_is_that_of_the_original(factor: int) -> None:
    """`upsample_filt` of the authors' surgery.py."""
    size = 2 * factor - factor % 2
    half = (size + 1) // 2
    centre = half - 1 if size % 2 == 1 else half - 0.5
    expected = [[(1 - abs(x - centre) / half) * (1 - abs(y - centre) / half) for x in range(size)] for y in range(size)]
    torch.testing.assert_close(bilinear_kernel(factor), torch.tensor(expected))


@pytest.mark.parametrize("factor", [1, 2, 3, 8, 32])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (6, 1)])
def test_starts_as_bilinear_interpolation_up_to_the_border(factor: int, size: tuple[int, int]) -> None:
    scores = torch.randn(2, 3, *size)
    finer = [factor * length for length in size]
    expected = interpolate(scores, size=finer, mode="bilinear")
    learnt, fixed = Bilinear(3, factor, learnt=True), Bilinear(3, factor, learnt=False)
    torch.testing.assert_close(learnt(scores, finer), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fixed(scores, finer), expected, rtol=1e-5, atol=1e-5)
    assert not list(fixed.parameters())
    cut = [length - factor // 2 for length in finer]
    torch.testing.assert_close(learnt(scores, cut), expected[..., : cut[0], : cut[1]], rtol=1e-5, atol=1e-5)


def test_what_is_learnt_mixes_classes() -> None:
    block, scores = Bilinear(2, 2), torch.randn(1, 2, 4, 4)
    block(scores, (8, 8)).square().sum().backward()
    assert block.weight.shape == (2, 2, 4, 4)
    assert all(block.weight.grad[one, other].all() for one in range(2) for other in range(2))


@pytest.mark.parametrize(
    ("upsampling", "learnt"), [("intermediate", [True, True, False]), ("learnt", [True] * 3), ("fixed", [False] * 3)]
)
def test_which_are_learnt(upsampling: Any, learnt: list[bool]) -> None:
    head = FCN(2, widths=NARROW, upsampling=upsampling).classify
    assert [block.weight is not None for block in (*head.between, head.last)] == learnt


@pytest.mark.parametrize("upsampling", ["learnt", "fixed"])
@pytest.mark.parametrize("length", [96, 97, 121, 161])
def test_every_level_lies_where_its_pixels_lie(upsampling: str, length: int) -> None:
    """Each level scores where the middle of its cell lies: away from the border every pixel must get its own place."""
    strides = (32, 16, 8)
    ramps = []
    for stride in strides:
        ramp = (torch.arange(-(-length // stride)) + 0.5) * stride
        ramps.append(torch.stack(torch.meshgrid(ramp, ramp, indexing="ij"))[None])  # (1, 2, *s)
    inside = slice(32, length // 32 * 32 - 32)
    for level in range(3):
        head = Scores(2, [2, 2, 2], strides, upsampling, (1.0, 1.0))
        for other, score in enumerate(head.scores):
            nn.init.zeros_(score.weight) if other != level else score.weight.data.copy_(torch.eye(2)[:, :, None, None])
        rows, columns = head(ramps, (length, length))[0].detach()
        assert rows.shape == (length, length)
        place = torch.arange(length) + 0.5
        torch.testing.assert_close(rows[inside, 0], place[inside], rtol=0, atol=1e-3)
        torch.testing.assert_close(columns[0, inside], place[inside], rtol=0, atol=1e-3)


# -- skips -------------------------------------------------------------------------------------------------------------------


def by_hand(net: FCN, raw: torch.Tensor) -> torch.Tensor:
    """Figure 3 of the paper in plain functions."""
    pool3, pool4, fc7 = net.encoder(net.normalise(raw))[2:]
    deepest, fourth, third = (score.weight for score in net.classify.scores)
    fused = interpolate(conv2d(fc7, deepest), scale_factor=2, mode="bilinear")[..., : pool4.shape[2], : pool4.shape[3]]
    fused = fused + conv2d(0.01 * pool4, fourth)
    fused = interpolate(fused, scale_factor=2, mode="bilinear")[..., : pool3.shape[2], : pool3.shape[3]]
    fused = fused + conv2d(0.0001 * pool3, third)
    return interpolate(fused, scale_factor=8, mode="bilinear")[..., : raw.shape[2], : raw.shape[3]]


@torch.no_grad()
@pytest.mark.parametrize("upsampling", ["intermediate", "learnt", "fixed"])
@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
def test_skips_are_scored_scaled_and_added(upsampling: Any, size: tuple[int, int]) -> None:
    net = FCN(5, encoder="vgg16_bn", widths=NARROW, upsampling=upsampling, skip_scales=(0.01, 0.0001)).eval()
    raw = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    at_start = net(raw).logits
    torch.testing.assert_close(at_start, by_hand(net, raw), rtol=1e-4, atol=1e-5)  # zero skips: FCN-32s' scores, enlarged
    for score in net.classify.scores[1:]:
        score.weight.normal_(0, 100)
    torch.testing.assert_close(net(raw).logits, by_hand(net, raw), rtol=1e-4, atol=1e-4)
    assert (net(raw).logits - at_start).abs().max() > 0.1


@torch.no_grad()
def test_skips_bring_what_the_deepest_cells_cannot_hold() -> None:
    """Within their cells logits are linear, and bend only from one to the next: those of FCN-8s more often and more sharply."""
    raw = torch.randint(0, 256, (1, 3, 160, 160), dtype=torch.uint8)
    net = FCN(2, encoder="vgg16_bn", widths=NARROW).eval()

    def bends() -> float:
        logits = net(raw).logits
        return float(logits.diff(n=2).abs().mean() / logits.std())

    without = bends()
    for score in net.classify.scores[1:]:
        score.weight.normal_()
    assert bends() > 4 * without


# -- encoders and options ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "stride", "inputs"),
    [
        ("vgg16", 8, [16, 10, 8]),
        ("vgg16", 16, [16, 10]),
        ("vgg11_bn", 32, [16]),
        ("googlenet", 32, [1024]),  # the paper's
        ("googlenet", 8, [1024, 832, 480]),
        ("mobilenetv2_100", 8, [320, 96, 32]),
        ("mobilenetv2_100", 4, [320, 96, 32, 24]),
        ("convnext_atto", 4, [320, 160, 80, 40]),  # its patches would leave the border out: the image is enlarged
        ("densenet121", 2, [1024, 1024, 512, 256, 64]),  # and its pools, though not the first
        ("pvt_v2_b0", 4, [256, 160, 64, 32]),
        ("vit_tiny_patch16_224", 16, [192]),  # no pyramid: its last level
    ],
)
@torch.no_grad()
def test_any_encoder_at_any_size(encoder: str, stride: int, inputs: list[int]) -> None:
    net = FCN(3, encoder=encoder, stride=stride, widths=NARROW if encoder.startswith("vgg") else None).eval()
    assert [score.in_channels for score in net.classify.scores] == inputs
    for size in ((65, 99), (33, 50)):
        assert net(torch.zeros(1, 3, *size)).logits.shape == (1, 3, *size)


@pytest.mark.parametrize(
    ("encoder", "size", "covered"),
    [
        ("pvt_v2_b0", (16, 16), (32, 32)),  # takes any size, but one cell of 32 at least
        ("pvt_v2_b0", (40, 16), (40, 32)),
        ("convnext_atto", (33, 50), (64, 64)),
        ("convnext_atto", (64, 32), (64, 32)),
    ],
)
@torch.no_grad()
def test_an_enlarged_image_has_its_scores_made_small_again(encoder: str, size: tuple[int, int], covered: tuple[int, int]) -> None:
    net = FCN(3, encoder=encoder).eval()
    for score in net.classify.scores[1:]:  # else zero, and the one deepest cell says the same everywhere
        score.weight.normal_()
    raw = 255 * torch.rand(1, 3, *size)
    expected = interpolate(net(interpolate(raw, size=covered, mode="bilinear")).logits, size=size, mode="bilinear")
    assert expected.std() > 1e-3
    torch.testing.assert_close(net(raw).logits, expected, rtol=1e-3, atol=1e-4)


def test_a_tag_of_timms_leaves_a_vgg_its_fully_connected_layers() -> None:
    assert parameters(encoder="vgg16.tv_in1k") == parameters()
    net = FCN(2, encoder="vgg16_bn.tv_in1k", widths=NARROW)
    assert net.encoder.fc7.weight.shape == (16, 16, 1, 1)
    assert net.arguments["encoder"] == "vgg16_bn.tv_in1k"


def test_dropout_before_the_scores_of_an_encoder_without_its_own() -> None:
    assert FCN(2, encoder="googlenet", stride=32, dropout=0.4).dropout.p == 0.4
    narrow = FCN(2, widths=NARROW, dropout=0.4)
    assert (narrow.dropout.p, narrow.encoder.dropout.p) == (0.0, 0.4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"stride": 64, "widths": NARROW}, "stride: expected one of vgg16's, [2, 4, 8, 16, 32], received 64"),
        ({"encoder": "vit_tiny_patch16_224"}, "stride: expected one of vit_tiny_patch16_224's, [16], received 8"),
        ({"widths": NARROW[:5]}, "widths: expected 6 numbers, with a VGG encoder, received (4, 6, 8, 10, 12) with vgg16"),
        ({"encoder": "resnet18", "widths": NARROW}, "received (4, 6, 8, 10, 12, 16) with resnet18"),
        (
            {"upsampling": "learned"},
            "upsampling: expected intermediate, learnt or fixed, received learned. Did you mean 'learnt'?",
        ),
        ({"widths": NARROW, "skip_scales": (1, 1, 1)}, "skip_scales: expected at most 2, one for each skip, received (1, 1, 1)"),
        ({"encoder": "vgg17"}, "encoder 'vgg17': expected a name that timm knows"),
    ],
)
def test_wrong_options(options: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        FCN(2, **options)
