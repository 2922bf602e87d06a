"""BiSeNetV2 and DDRNet beyond their family's contract: the papers' sizes, strides, what looks where, one small image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, max_pool2d, relu
from torch.utils.flop_counter import FlopCounterMode

from intarsia.models.bisenetv2 import BiSeNetV2
from intarsia.models.blocks.bilateral_fusion import BilateralFusion
from intarsia.models.blocks.context_embedding import ContextEmbedding
from intarsia.models.blocks.deep_aggregation_pooling import DeepAggregationPooling
from intarsia.models.blocks.gather_expansion import GatherExpansion
from intarsia.models.blocks.guided_aggregation import GuidedAggregation
from intarsia.models.blocks.residual import Residual
from intarsia.models.blocks.scarce_norm import ScarceNorm
from intarsia.models.ddrnet import DDRNet
from intarsia.models.encoders.bilateral import Bilateral, Stem
from intarsia.models.encoders.dual_resolution import DualResolution


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


# -- the papers' figures in plain functions: strides, activations and order are written here, only tensors are the blocks' --------


def drawn(net: Any) -> Any:
    """No norm at its neutral start, and as many values below 0 as above, so that no ReLU and no swap goes unseen."""
    for key, tensor in net.state_dict().items():
        if key.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.3)
        elif key.endswith("running_var") or (tensor.ndim == 1 and key.endswith("weight")):
            tensor.uniform_(0.5, 1.5)
    return net.eval()


def normed(norm: Any, features: torch.Tensor) -> torch.Tensor:
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (features - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]


def bare(conv: Any, features: torch.Tensor, stride: int = 1) -> torch.Tensor:
    padding, groups = conv.weight.shape[-1] // 2, features.shape[1] // conv.weight.shape[1]
    return conv2d(features, conv.weight, conv.bias, stride, padding, groups=groups)


def linear(block: Any, features: torch.Tensor, stride: int = 1) -> torch.Tensor:
    return normed(block.norm, bare(block.conv, features, stride))


def bent(block: Any, features: torch.Tensor, stride: int = 1) -> torch.Tensor:
    return relu(linear(block, features, stride))


def enlarged(features: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
    return interpolate(features, size=to.shape[2:], mode="bilinear")


def scored(head: Any, features: torch.Tensor) -> torch.Tensor:
    return bare(head.classify, bent(head.conv, features))


def assert_same(ours: Any, expected: Any) -> None:
    """Tensors, or sequences of them; to within the rounding of their largest values."""
    for one, other in ((ours, expected),) if isinstance(ours, torch.Tensor) else zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


@torch.no_grad()
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("act", [True, False])
def test_residual_is_figure_5(stride: int, act: bool) -> None:
    """Of arXiv 1512.03385: two convolutions, or three; ReLU after all but the last, and after the sum."""
    features = torch.randn(2, 4, 9, 6)
    end = relu if act else nn.Identity()
    same = drawn(Residual(4, 4, act=act))
    assert_same(same(features), end(linear(same.convs[1], bent(same.convs[0], features)) + features))
    pair = drawn(Residual(4, 6, stride=stride, act=act))
    beside = linear(pair.shortcut[1], features, stride)
    assert_same(pair(features), end(linear(pair.convs[1], bent(pair.convs[0], features, stride)) + beside))
    neck = drawn(Residual(4, 6, stride=stride, hidden=3, act=act))
    first, second, third = neck.convs
    inner = linear(third, bent(second, bent(first, features), stride))
    assert_same(neck(features), end(inner + linear(neck.shortcut[1], features, stride)))


def fused(fusion: Any, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Equations 1 and 2 of arXiv 2101.06085, before the outer ReLU, of features before theirs: from low to high a 1x1 convolution
    and bilinear enlargement, from high to low 3x3 convolutions of stride 2, ReLU between."""
    *between, last = fusion.down
    down = relu(high)
    for block in between:
        down = bent(block, down, 2)
    return high + enlarged(linear(fusion.compress, relu(low)), high), low + linear(last, down, 2)


@torch.no_grad()
@pytest.mark.parametrize("path", [(4, 6), (4, 6, 8)])
def test_fusion_is_equations_1_and_2(path: tuple[int, ...]) -> None:
    fusion = drawn(BilateralFusion(path))
    high, low = torch.randn(2, 4, 16, 12), torch.randn(2, path[-1], 32 // 2 ** len(path), 24 // 2 ** len(path))
    assert_same(fusion(high, low), fused(fusion, high, low))


@torch.no_grad()
def test_ddrnet_is_its_equations() -> None:
    """From one trunk two branches, fused before each ReLU, twice; the early head reads the first fusion, as the authors' does."""
    net, raw = drawn(DDRNet.tiny(3)), torch.randint(0, 256, (2, 3, 128, 192), dtype=torch.uint8)
    trunk: DualResolution = net.encoder
    pixels = net.normalise(raw)
    common = trunk.stem(pixels)
    assert (common >= 0).all()
    early, low = fused(trunk.fusions[0], trunk.high[0](common), trunk.low[0](common))
    high, low = fused(trunk.fusions[1], trunk.high[1](relu(early)), trunk.low[1](relu(low)))
    high, deep = trunk.high_end(relu(high)), trunk.low_end(relu(low))
    for features in (early, high, deep):
        assert (features < 0).any()  # before its ReLU
    assert_same(trunk(pixels), [early, high, deep])

    def scores(head: Any, features: torch.Tensor) -> torch.Tensor:
        return scored(head, relu(normed(head.before[0], features)))

    assert_same(net(raw).logits, scores(net.head, high + enlarged(net.pool(deep), high)))
    net.training = True  # the norms stay as they are
    assert_same([aux.logits for aux in net(raw).aux], [scores(net.early_head, early)])


@torch.no_grad()
def test_the_trunks_first_stages_are_table_1() -> None:
    """Of arXiv 2101.06085: two convolutions of stride 2, two basic blocks, two more the first of stride 2; ReLU ends each pair."""
    trunk, pixels = drawn(DualResolution(3, 4)), torch.randn(1, 3, 64, 32)
    first, second, pair, _, strided, _ = trunk.stem

    def basic(block: Any, features: torch.Tensor, stride: int = 1) -> torch.Tensor:
        beside = linear(block.shortcut[1], features, stride) if len(block.shortcut) else features
        return linear(block.convs[1], bent(block.convs[0], features, stride)) + beside

    features = bent(second, bent(first, pixels, 2), 2)
    features = relu(basic(pair[1], relu(basic(pair[0], features))))
    features = relu(basic(strided[1], relu(basic(strided[0], features, 2))))
    assert_same(trunk.stem(pixels), features)
    assert_same(trunk.low[0](features), basic(trunk.low[0][1], relu(basic(trunk.low[0][0], features, 2))))
    assert_same(trunk.high[0](features), basic(trunk.high[0][1], relu(basic(trunk.high[0][0], features))))


@torch.no_grad()
def test_stem_and_context_embedding_are_figure_4() -> None:
    """Of arXiv 2004.02147, as are the figures below."""
    stem, pixels = drawn(Stem(3, 8)), torch.randn(2, 3, 33, 18)
    first = bent(stem.first, pixels, 2)
    beside = bent(stem.beside[1], bent(stem.beside[0], first), 2)
    assert_same(stem(pixels), bent(stem.join, torch.cat([beside, max_pool2d(first, 3, 2, padding=1)], dim=1)))
    block, features = drawn(ContextEmbedding(4)), torch.randn(2, 4, 5, 3)
    mean = features.flatten(2).mean(dim=2)[..., None, None]
    assert_same(block(features), bent(block.last, features + bent(block.context, normed(block.norm, mean))))


@torch.no_grad()
def test_gather_expansion_is_figure_5() -> None:
    features = torch.randn(2, 4, 9, 6)
    same = drawn(GatherExpansion(4, 4))
    (expand,) = same.expand
    assert_same(same(features), relu(linear(same.project, bent(expand, bent(same.gather, features))) + features))
    halved = drawn(GatherExpansion(4, 6, stride=2))
    wide, again = halved.expand
    inner = linear(halved.project, bent(again, linear(wide, bent(halved.gather, features), 2)))
    beside = linear(halved.shortcut[1], linear(halved.shortcut[0], features, 2))
    assert_same(halved(features), relu(inner + beside))


@torch.no_grad()
def test_guided_aggregation_is_figure_6() -> None:
    block = drawn(GuidedAggregation(4))
    detail, semantic = torch.randn(2, 4, 16, 12), torch.randn(2, 4, 4, 3)
    gate = enlarged(linear(block.semantic_fine, semantic), detail).sigmoid()
    fine = bare(block.detail[1], linear(block.detail[0], detail)) * gate
    coarse = avg_pool2d(linear(block.detail_coarse[0], detail, 2), 3, 2, padding=1)
    coarse = coarse * bare(block.semantic[1], linear(block.semantic[0], semantic)).sigmoid()
    assert_same(block(detail, semantic), bent(block.last, fine + enlarged(coarse, detail)))


@torch.no_grad()
def test_bisenetv2_joins_its_branches() -> None:
    """Table 1: details at stride 8 by eight convolutions; the boosters read each stage, the last before its context embedding."""
    net, raw = drawn(BiSeNetV2.tiny(3)), torch.randint(0, 256, (2, 3, 128, 96), dtype=torch.uint8)
    branches: Bilateral = net.encoder
    pixels = detail = net.normalise(raw)
    for block, stride in zip(branches.detail, (2, 1, 2, 1, 1, 2, 1, 1), strict=True):
        detail = bent(block, detail, stride)
    levels = [branches.semantic[0](pixels)]
    for stage in list(branches.semantic)[1:]:
        levels.append(stage(levels[-1]))
    expected = scored(net.head, net.aggregate(detail, branches.context(levels[-1])))
    assert_same(net(raw).logits, expected)
    net.training = True  # the norms stay as they are
    assert_same([aux.logits for aux in net(raw).aux], [scored(*pair) for pair in zip(net.boosters, levels, strict=True)])


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
