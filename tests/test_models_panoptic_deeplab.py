"""Panoptic-DeepLab beyond the contract: the authors' decoder layer by layer, options, and that it learns to tell objects apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from intarsia.core import Targets
from intarsia.core.errors import OptionError
from intarsia.data.scenes import CLASSES, scene
from intarsia.decode._centres import panoptic
from intarsia.losses.weighted_sum import WeightedSum
from intarsia.models.blocks.atrous_decoder import AtrousDecoder
from intarsia.models.panoptic_deeplab import UNIT, PanopticDeepLab


def conv(given: int, kept: int, kernel: int = 1, **options: Any) -> list[nn.Module]:
    """Convolution, norm, ReLU."""
    padding = options.get("dilation", 1) * (kernel // 2)
    return [nn.Conv2d(given, kept, kernel, padding=padding, bias=False, **options), nn.BatchNorm2d(kept), nn.ReLU()]


def separable(given: int, kept: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(conv(given, given, kernel, dilation=dilation, groups=given)[0], *conv(given, kept))


class TheirDecoder(nn.Module):
    """SinglePanopticDeepLabDecoder of the authors' code, with this package's separable convolutions and corners."""

    def __init__(self, in_channels: int, skips: tuple[int, ...], widths: tuple[int, ...], width: int, rates: tuple[int, ...]):
        super().__init__()
        self.point = nn.Sequential(*conv(in_channels, width))
        self.rates = nn.ModuleList(separable(in_channels, width, 3, rate) for rate in rates)
        self.pooling = nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv(in_channels, width))
        self.project_all = nn.Sequential(*conv(5 * width, width))
        self.project = nn.ModuleList(nn.Sequential(*conv(skip, kept)) for skip, kept in zip(skips, widths, strict=True))
        self.fuse = nn.ModuleList(separable(width + kept, width, 5) for kept in widths)

    def forward(self, x: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor:
        pooled = interpolate(self.pooling(x), size=x.shape[2:], mode="bilinear")
        x = self.project_all(torch.cat([self.point(x), *(rate(x) for rate in self.rates), pooled], dim=1))
        for project, fuse, skip in zip(self.project, self.fuse, skips, strict=True):
            x = torch.cat([interpolate(x, size=skip.shape[2:], mode="bilinear"), project(skip)], dim=1)
            x = fuse(x)
        return x


def test_the_decoder_equals_the_authors() -> None:
    torch.manual_seed(0)
    theirs = TheirDecoder(12, (10, 6), (8, 4), 32, (1, 2, 3)).eval()
    ours = AtrousDecoder(12, (10, 6), 32, (1, 2, 3)).eval()
    for key, tensor in theirs.state_dict().items():
        if key.endswith(("weight", "var")) and tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5)
        elif key.endswith(("bias", "mean")):
            tensor.normal_(0, 0.1)
    state, given = ours.state_dict(), list(theirs.state_dict().values())
    assert [tensor.shape for tensor in given] == [tensor.shape for tensor in state.values()]
    ours.load_state_dict(dict(zip(state, given, strict=True)))
    deep, skips = torch.randn(2, 12, 5, 6), [torch.randn(2, 10, 9, 11), torch.randn(2, 6, 18, 22)]
    with torch.no_grad():
        expected = theirs(deep, skips)
        torch.testing.assert_close(ours(deep, skips), expected)
    assert expected.std() > 0.01


@pytest.mark.parametrize(
    ("encoder", "stride", "widths", "size"),
    [
        ("mobilenetv2_100", 4, [32, 24], (17, 25)),
        ("mobilenetv2_100", 2, [32, 24, 16], (33, 49)),
        ("mobilenetv2_100", 8, [32], (9, 13)),
        ("convnext_atto", 2, [80, 40], (17, 25)),  # begins at stride 4
        ("vit_tiny_patch16_224", 4, [], (5, 7)),  # has one stride only
    ],
)
def test_skips_down_to_the_stride(encoder: str, stride: int, widths: list[int], size: tuple[int, int]) -> None:
    net = PanopticDeepLab(3, encoder=encoder, stride=stride, width=16, instance_width=8).eval()
    assert [net.encoder.channels[level] for level in net.skips] == widths
    with torch.no_grad():
        output = net(torch.zeros(1, 3, 65, 97))
    assert [tuple(part.shape) for part in (output.logits, output.centre, output.offset)] == [
        (1, 3, *size),
        (1, 1, *size),
        (1, 2, *size),
    ]


def test_widths_and_rates() -> None:
    net = PanopticDeepLab(3, encoder="lcnet_035", width=32, instance_width=16)
    assert [reduce.conv.out_channels for reduce in net.semantic.reduce] == [8, 4]
    assert [reduce.conv.out_channels for reduce in net.instance.reduce] == [4, 2]
    assert net.arguments["rates"] == [6, 12, 18]
    assert PanopticDeepLab(3, encoder="lcnet_035", output_stride=32, width=8, instance_width=8).arguments["rates"] == [3, 6, 9]


def test_neither_heat_nor_offset_to_begin_with() -> None:
    torch.manual_seed(0)
    output = PanopticDeepLab.tiny(3).eval()(torch.randint(0, 256, (2, 3, 64, 64)))
    assert output.centre.abs().max() < 0.1
    assert output.offset.abs().max() < 0.1 * UNIT


def test_a_stride_that_cannot_be() -> None:
    with pytest.raises(OptionError, match="output_stride of encoder 'ghostnet_050': expected 32"):
        PanopticDeepLab(2, encoder="ghostnet_050")


def test_learns_to_tell_objects_apart() -> None:
    """A few steps on two small scenes, and most of the things that are large enough come back."""
    torch.manual_seed(0)
    truths = [scene(seed=0, index=index, size=(48, 64)) for index in (0, 2)]
    raw = torch.from_numpy(np.stack([sample.image for sample in truths])).permute(0, 3, 1, 2)  # (B, H, W, C) -> (B, C, H, W)
    rows = max(len(sample.segments) for sample in truths)
    classes = np.stack([np.pad(s.segments.classes, (0, rows - len(s.segments)), constant_values=-1) for s in truths])
    ids = torch.from_numpy(np.stack([sample.segments.ids.astype(np.int32) for sample in truths]))  # (B, L, H, W)
    targets = Targets(ids, torch.from_numpy(classes), torch.zeros(classes.shape).bool(), len(CLASSES))
    net = PanopticDeepLab(len(CLASSES) + 1, encoder="lcnet_035", stride=2, width=32, instance_width=32, dropout=0.0).train()
    loss = WeightedSum(dict(net.losses), things=np.flatnonzero(CLASSES.is_thing).tolist())
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(100):
        optimiser.zero_grad()
        torch.stack(list(loss(net(raw), targets).values())).sum().backward()
        optimiser.step()
    with torch.no_grad():
        answers = panoptic(net(raw), [(48, 64)] * 2, CLASSES)  # in training mode, whose statistics are those of the batch
    found = total = 0
    for answer, sample in zip(answers, truths, strict=True):
        truth = sample.segments
        for row in np.flatnonzero((truth.areas >= 20) & CLASSES.is_thing[truth.classes]):
            total += 1
            mask = truth.mask(row)
            for other in np.flatnonzero(answer.classes == truth.classes[row]):
                shared = (answer.mask(other) & mask).sum()
                found += shared > 0.5 * (mask.sum() + (answer.mask(other) & ~truth.void).sum() - shared)
    assert total > 5
    assert found / total > 0.7, (found, total)
