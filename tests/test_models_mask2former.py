"""Mask2Former beyond the contract: its two pixel decoders, where its queries look, and its answers between the layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import multi_head_attention_forward
from transformers.models.mask2former import modeling_mask2former as theirs

from intarsia.core.errors import OptionError
from intarsia.models.blocks.attention import Attention
from intarsia.models.blocks.deformable_attention import DeformableAttention
from intarsia.models.blocks.deformable_pixel_decoder import DeformablePixelDecoder
from intarsia.models.blocks.fpn_pixel_decoder import FPNPixelDecoder
from intarsia.models.blocks.sine_position import sine_position
from intarsia.models.mask2former import Mask2Former

TINY = {"encoder": "test_efficientnet", "width": 32, "queries": 12, "layers": 3, "heads": 4, "hidden": 64}
DEFORMABLE = {**TINY, "pixel_decoder": "deformable", "pixel_layers": 1, "pixel_hidden": 32}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def images(*size: int, batch: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (batch, 3, *size), dtype=torch.uint8)


# -- its parts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (20, 7)])
def test_positions_are_transformers(size: tuple[int, int]) -> None:
    reference = theirs.Mask2FormerSinePositionEmbedding(num_position_features=16, normalize=True)
    expected = reference((1, 3, *size), torch.device("cpu"), torch.float32)[0].permute(1, 2, 0)
    torch.testing.assert_close(sine_position(torch.zeros(1, 3, *size), 32), expected)


def test_attention_is_torchs() -> None:
    layer, queries, keys, values = Attention(8, 2), torch.randn(2, 5, 8), torch.randn(2, 7, 8), torch.randn(2, 7, 8)
    for part in (layer.query, layer.key, layer.value, layer.project):
        torch.nn.init.normal_(part.bias)
    seen = torch.rand(2, 5, 7) < 0.5
    seen[..., 0] = True
    expected, _ = multi_head_attention_forward(
        *(tokens.transpose(0, 1) for tokens in (queries, keys, values)),
        embed_dim_to_check=8,
        num_heads=2,
        in_proj_weight=torch.cat([layer.query.weight, layer.key.weight, layer.value.weight]),
        in_proj_bias=torch.cat([layer.query.bias, layer.key.bias, layer.value.bias]),
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=layer.project.weight,
        out_proj_bias=layer.project.bias,
        attn_mask=~seen.repeat_interleave(2, dim=0),
    )
    torch.testing.assert_close(layer(queries, keys, values, seen), expected.transpose(0, 1))


def test_who_may_look_nowhere_looks_everywhere() -> None:
    layer, queries, cells = Attention(8, 2), torch.randn(1, 3, 8), torch.randn(1, 6, 8)
    seen = torch.zeros(1, 3, 6).bool()
    seen[:, 1, 2] = True
    found, free = layer(queries, cells, cells, seen), layer(queries, cells, cells)
    torch.testing.assert_close(found[:, [0, 2]], free[:, [0, 2]])
    torch.testing.assert_close(found[:, 1], layer.project(layer.value(cells[:, 2])))


def test_deformable_attention_is_transformers() -> None:
    """Theirs looks from any place at any level too; all numbers random."""
    sizes = [(3, 5), (6, 9)]
    cells = sum(height * width for height, width in sizes)
    ours = DeformableAttention(16, heads=4, levels=2, points=3)
    reference = theirs.Mask2FormerPixelDecoderEncoderMultiscaleDeformableAttention(16, 4, 2, 3)
    names = {"offsets": "sampling_offsets", "weights": "attention_weights", "value": "value_proj", "project": "output_proj"}
    for our, their in names.items():
        for kind in ("weight", "bias"):
            tensor = getattr(getattr(reference, their), kind)
            torch.nn.init.normal_(tensor, std=0.5)
            getattr(ours, our).load_state_dict({**getattr(ours, our).state_dict(), kind: tensor.detach()})
    queries, tokens, places = torch.randn(2, 11, 16), torch.randn(2, cells, 16), torch.rand(11, 2)
    expected, _ = reference(
        queries,
        encoder_hidden_states=tokens,
        reference_points=places[None, :, None].expand(2, -1, 2, -1),
        spatial_shapes_list=sizes,
    )
    torch.testing.assert_close(ours(queries, tokens, places, sizes), expected, rtol=1e-5, atol=1e-5)


def test_deformable_attention_begins_in_all_directions() -> None:
    bias = DeformableAttention(16, heads=4, levels=2, points=3).offsets.bias.view(4, 2, 3, 2)
    expected = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    torch.testing.assert_close(bias[:, 1, 0], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(bias[:, 0, 2], 3 * expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("make", [FPNPixelDecoder, lambda *sizes: DeformablePixelDecoder(*sizes, layers=2, heads=2, hidden=16)])
@pytest.mark.parametrize("seen", [1, 3, 4])
def test_pixel_decoders(make: Any, seen: int) -> None:
    """Any number of levels may be seen, and every level counts for the prototypes."""
    decoder = make((4, 8, 12, 16), 16, 5, seen)
    levels = [torch.randn(2, 4 * (k + 1), 17 >> k, 26 >> k, requires_grad=True) for k in range(4)]
    maps, prototypes = decoder(levels)
    assert [each.shape[2:] for each in maps] == [each.shape[2:] for each in levels[::-1][:seen]]
    assert prototypes.shape == (2, 5, 17, 26)
    prototypes.square().sum().backward()
    assert all(level.grad.any() for level in levels)


# -- the network -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 48), (33, 50), (1, 1)])
def test_deformable_at_any_size(size: tuple[int, int]) -> None:
    net = Mask2Former(6, **DEFORMABLE).eval()
    said = net(images(*size))
    assert said.classes.shape == (2, 12, 6)
    assert said.prototypes.isfinite().all()
    one = images(*size, batch=1)
    torch.testing.assert_close(net(one.repeat(2, 1, 1, 1)).classes, net(one).classes.repeat(2, 1, 1), rtol=1e-4, atol=1e-5)


def test_deformable_learns_exports_and_comes_back() -> None:
    net = Mask2Former(6, **DEFORMABLE)
    for layer in net.pixel_decoder.layers:  # in the beginning no token asks for offsets of its own
        torch.nn.init.normal_(layer.attention.offsets.weight, std=0.1)
    said = net(images(64, 48))
    sum(
        one.classes.square().sum() + (one.coefficients @ one.prototypes.flatten(2)).square().sum() for one in (said, *said.aux)
    ).backward()
    assert all(parameter.grad.isfinite().all() and parameter.grad.any() for parameter in net.parameters())
    net.eval()
    again = Mask2Former(**net.arguments).eval()
    again.load_state_dict(net.state_dict())
    one = images(33, 50, batch=1)
    exported = torch.export.export(net, (one,)).module()(one)
    for name in ("classes", "coefficients", "prototypes"):
        assert getattr(again(one), name).equal(getattr(net(one), name))
        torch.testing.assert_close(getattr(exported, name), getattr(net(one), name), rtol=1e-5, atol=1e-5)


def test_answers_between_the_layers_in_training_alone() -> None:
    net = Mask2Former(6, **TINY)
    said = net(images(32, 32))
    assert len(said.aux) == 3  # before the first layer, and behind each of three but the last
    assert all(early.prototypes is said.prototypes for early in said.aux)
    first = said.aux[0]
    assert first.classes[0].equal(first.classes[1])  # no image was looked at yet
    assert not said.classes[0].equal(said.classes[1])
    assert net.eval()(images(32, 32)).aux == ()


def test_queries_look_within_their_own_masks() -> None:
    """Each layer is given what the answer before it covers, at the size of its own level."""
    net = Mask2Former(6, **TINY).train()
    given = []
    for layer in net.layers:
        layer.cross_attention.register_forward_hook(lambda _, inputs, __: given.append(inputs[3]))
    said = net(images(64, 96, batch=1))
    masks = [(early.coefficients @ early.prototypes.flatten(2)).view(1, 12, 16, 24) for early in said.aux]
    for seen, mask, size in zip(given, masks, [(2, 3), (4, 6), (8, 12)], strict=True):
        coarse = torch.nn.functional.interpolate(mask, size=size, mode="bilinear").flatten(2)
        clear = coarse.abs() > 1e-4  # where rounding does not decide
        assert (seen == (coarse >= 0))[clear].all()


def test_levels_in_turn() -> None:
    net = Mask2Former(6, **{**TINY, "layers": 4}).eval()
    cells = []
    for layer in net.layers:
        layer.register_forward_hook(lambda _, inputs, __: cells.append(inputs[2].shape[1]))
    net(images(64, 64))
    assert cells == [4, 16, 64, 4]


def test_finest_level() -> None:
    assert Mask2Former(6, **TINY, finest=2).stride == 2
    assert Mask2Former(6, **TINY, finest=8).eval()(images(64, 64)).prototypes.shape[2:] == (8, 8)
    with pytest.raises(OptionError, match="strides of encoder 'test_efficientnet': expected one of 64 or coarser, received"):
        Mask2Former(6, **TINY, finest=64)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"pixel_decoder": "fpm"}, "pixel_decoder: expected fpn or deformable, received fpm. Did you mean 'fpn'?"),
        ({"width": 30}, "width: expected a multiple of 4 and of 4 heads, received 30"),
    ],
)
def test_wrong_options(options: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=text.replace("?", r"\?")):
        Mask2Former(6, **{**TINY, **options})
