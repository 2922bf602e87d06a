"""BiSeNetV2 and DDRNet beyond their family's contract: the papers' sizes, strides, what looks where, one small image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from intarsia.models.bisenetv2 import BiSeNetV2
from intarsia.models.blocks.deep_aggregation_pooling import DeepAggregationPooling
from intarsia.models.blocks.gather_expansion import GatherExpansion
from intarsia.models.blocks.guided_aggregation import GuidedAggregation
from intarsia.models.blocks.scarce_norm import ScarceNorm
from intarsia.models.ddrnet import DDRNet


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def measured(make: Callable[[], nn.Module], *size: int) -> tuple[int, int]:
    """Parameters, and multiply-adds of one image; nothing is computed."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        net = make().eval()
        net(torch.zeros(1, 3, *size))
    return sum(parameter.numel() for parameter in net.parameters()), counter.get_total_flops() // 2


def convs(cells: int, *layers: tuple[int, int, int]) -> tuple[int, int]:
    """Weights and multiply-adds of convolutions (channels in, in a group; channels out; kernel) over so many cells, with norms."""
    weights = sum(ins * outs * kernel**2 for ins, outs, kernel in layers)
    return weights + sum(2 * outs for _, outs, _ in layers), cells * weights


@pytest.mark.parametrize(
    ("options", "parameters", "multiply_adds"),
    [({}, 5.7, 36.3), ({"width": 64, "head": 128}, 20.1, 143.1)],  # DDRNet-23-slim and DDRNet-23, table 5
)
def test_ddrnet_has_the_paper_s_size(options: dict[str, Any], parameters: float, multiply_adds: float) -> None:
    counts = measured(lambda: DDRNet(19, supervised=False, **options), 1024, 2048)
    assert round(counts[0] / 1e6, 1) == parameters
    assert round(counts[1] / 1e9, 1) == multiply_adds


def test_bisenetv2_is_table_1() -> None:
    """Worked out by hand from table 1 and figures 4 to 6: each stage's convolutions at the cells that it leaves."""
    cells = {stride: 512 * 1024 // stride**2 for stride in (2, 4, 8, 16, 32)}

    def gather(cells_in: int, cells_out: int, ins: int, outs: int) -> list[tuple[int, int]]:
        first = convs(cells_in, (ins, ins, 3))
        if cells_in == cells_out:
            return [first, convs(cells_out, (1, 6 * ins, 3), (6 * ins, outs, 1))]
        wide = [(1, 6 * ins, 3), (1, 6 * ins, 3), (6 * ins, outs, 1)]
        return [first, convs(cells_out, *wide, (1, ins, 3), (ins, outs, 1))]

    detail = [
        convs(cells[2], (3, 64, 3), (64, 64, 3)),
        convs(cells[4], (64, 64, 3), (64, 64, 3), (64, 64, 3)),
        convs(cells[8], (64, 128, 3), (128, 128, 3), (128, 128, 3)),
    ]
    semantic = [
        convs(cells[2], (3, 16, 3), (16, 8, 1)),
        convs(cells[4], (8, 16, 3), (32, 16, 3)),
        *gather(cells[4], cells[8], 16, 32),
        *gather(cells[8], cells[8], 32, 32),
        *gather(cells[8], cells[16], 32, 64),
        *gather(cells[16], cells[16], 64, 64),
        *gather(cells[16], cells[32], 64, 128),
        *(3 * gather(cells[32], cells[32], 128, 128)),
        (2 * 128, 0),  # the norm of the pooled mean
        convs(1, (128, 128, 1)),
        convs(cells[32], (128, 128, 3)),
    ]
    aggregation = [
        convs(cells[8], (1, 128, 3), (128, 128, 1)),
        convs(cells[16], (128, 128, 3)),
        convs(cells[32], (128, 128, 3), (1, 128, 3), (128, 128, 1)),
        (-4 * 128, 0),  # no norm after the two 1x1 convolutions
        convs(cells[8], (128, 128, 3)),
    ]
    head = [convs(cells[8], (128, 1024, 3)), (1024 * 19 + 19, cells[8] * 1024 * 19)]
    expected = tuple(map(sum, zip(*detail, *semantic, *aggregation, *head, strict=True)))
    assert measured(lambda: BiSeNetV2(19, booster=0), 512, 1024) == expected
    assert [round(count / unit, 2) for count, unit in zip(expected, (1e6, 1e9), strict=True)] == [3.36, 24.6]


@pytest.mark.parametrize("make", [BiSeNetV2.tiny, DDRNet.tiny])
@pytest.mark.parametrize("size", [(1, 1), (32, 32), (65, 130)])
def test_one_image_can_be_trained_on(make: Callable[..., Any], size: tuple[int, int]) -> None:
    net = make(3).train()
    output = net(torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8))
    assert output.logits.shape[2:] == tuple(-(-length // 8) for length in size)
    sum(one.logits.square().mean() for one in (output, *output.aux)).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in net.parameters())
    assert all(buffer.isfinite().all() for buffer in net.buffers())


def test_levels_lie_where_they_say() -> None:
    pixels = torch.zeros(1, 3, 130, 65)
    for encoder in (BiSeNetV2.tiny(3).encoder, DDRNet.tiny(3).encoder):
        levels = encoder.eval()(pixels)
        assert [level.shape[1] for level in levels] == list(encoder.channels)
        assert [tuple(level.shape[2:]) for level in levels] == [(-(-130 // s), -(-65 // s)) for s in encoder.strides]


def test_heads_of_training_stay_out_of_inference() -> None:
    image = torch.zeros(2, 3, 64, 64)
    for net, count in ((BiSeNetV2.tiny(3), 4), (DDRNet.tiny(3), 1), (BiSeNetV2(3, booster=0), 0), (DDRNet(3, supervised=False), 0)):
        assert len(net.train()(image).aux) == count
        assert not net.eval()(image).aux
    assert [aux.logits.shape[2] for aux in BiSeNetV2.tiny(3).train()(image).aux] == [16, 8, 4, 2]  # strides 4, 8, 16, 32


@pytest.mark.parametrize("make", [BiSeNetV2.tiny, DDRNet.tiny])
def test_every_cell_sees_the_whole_image(make: Callable[..., Any]) -> None:
    net, image = make(3).eval(), torch.zeros(1, 3, 512, 512, requires_grad=True)
    net(image).logits[0, :, 0, 0].sum().backward()
    assert image.grad is not None
    assert image.grad[0, :, -16:, -16:].any()


def test_pooling_is_equation_3() -> None:
    """Written out: the mean over each window, zeros beyond the border, each scale on the one before."""
    pool, features = DeepAggregationPooling(4, 3, 5).eval(), torch.randn(1, 4, 24, 20)
    with torch.no_grad():
        first, *others = pool.scales
        levels = [first(features)]
        for scale, process, window in zip(others, pool.process, (5, 9, 17, None), strict=True):
            mean = features.mean(dim=(2, 3), keepdim=True)
            if window:
                padded = nn.functional.pad(features, [window // 2] * 4)
                mean = padded.unfold(2, window, window // 2).unfold(3, window, window // 2).mean(dim=(4, 5))
            wide = nn.functional.interpolate(scale[1:](mean), size=(24, 20), mode="bilinear")
            levels.append(process(wide + levels[-1]))
        expected = pool.compress(torch.cat(levels, dim=1)) + pool.shortcut(features)
        torch.testing.assert_close(pool(features), expected, rtol=1e-5, atol=1e-5)


def test_each_branch_gates_the_other() -> None:
    """With the gate of meaning shut (a large negative bias) only what the details weigh is left."""
    block = GuidedAggregation(4).eval()
    detail, semantic = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 2, 2)
    block.last = nn.Identity()
    with torch.no_grad():
        block.semantic_fine.norm.bias.fill_(-1e9)
        coarse = block.detail_coarse(detail) * block.semantic(semantic).sigmoid()
        left = block(detail, semantic)
        torch.testing.assert_close(left, nn.functional.interpolate(coarse, size=(8, 8), mode="bilinear"))


def test_gather_expansion_is_residual() -> None:
    block, features = GatherExpansion(4, 4).eval(), torch.rand(1, 4, 5, 5)
    with torch.no_grad():
        block.project.conv.weight.zero_()
        torch.testing.assert_close(block(features), features)


def test_scarce_norm() -> None:
    """One or two values take the running statistics and leave them; three move them as in any batch norm."""
    for count in (1, 2, 3):
        norm, usual = ScarceNorm(1), nn.BatchNorm2d(1)
        values = torch.arange(1.0, count + 1).view(count, 1, 1, 1)
        if count < 3:
            torch.testing.assert_close(norm(values), usual.eval()(values))
            assert norm.running_mean == 0
        else:
            torch.testing.assert_close(norm(values), usual(values))
            assert norm.running_mean == usual.running_mean != 0
