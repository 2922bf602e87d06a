"""EoMT beyond the contract: masks that are annealed, and the plain ViT that it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from intarsia.core.errors import CheckpointError, OptionError
from intarsia.models.blocks.annealed import Annealed
from intarsia.models.encoders.plain_vit import PlainViT
from intarsia.models.eomt import EoMT


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def images(*size: int, batch: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (batch, 3, *size), dtype=torch.uint8)


# -- mask annealing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("progress", "chances"),
    [
        (0, [1, 1, 1, 1]),
        (1 / 6, [1, 1, 1, 1]),
        (1.5 / 6, [0.5**0.9, 1, 1, 1]),
        (2 / 6, [0, 1, 1, 1]),
        (4.75 / 6, [0, 0, 0, 0.25**0.9]),
        (5 / 6, [0, 0, 0, 0]),
        (1, [0, 0, 0, 0]),
    ],
)
def test_blocks_are_freed_one_after_another(progress: float, chances: list[float]) -> None:
    annealed = Annealed(4)
    annealed.progress.fill_(progress)
    found = torch.stack([annealed.chance(block) for block in range(4)])
    torch.testing.assert_close(found, torch.tensor(chances).float(), atol=1e-5, rtol=0)


def test_a_share_of_the_queries_is_held() -> None:
    annealed, nowhere = Annealed(4), torch.zeros(50, 40, 3).bool()
    annealed.progress.fill_(1.5 / 6)  # a chance of 0.536
    free = annealed(nowhere, 0)
    assert free.all(dim=2).equal(free.any(dim=2))  # a query as a whole
    assert 0.42 < free.float().mean() < 0.51
    assert not annealed(nowhere, 1).any()
    annealed.progress.fill_(1)
    assert annealed(nowhere, 1).all()


def test_seen_stays_seen() -> None:
    seen = torch.rand(2, 5, 7) < 0.5
    annealed = Annealed(1)
    annealed.progress.fill_(0)
    assert annealed(seen, 0).equal(seen)


def test_no_masks_but_in_training() -> None:
    """What is evaluated on the way is the network that will be used."""
    net, raw = EoMT.tiny(6).eval(), images(64, 64)
    expected = net(raw)
    net.annealed.progress.fill_(0)
    assert net(raw).classes.equal(expected.classes)
    held = net.train()(raw)
    assert not held.classes.equal(expected.classes)
    net.annealed.progress.fill_(1)
    torch.testing.assert_close(net(raw).classes, expected.classes)


def test_masks_hold_queries_and_nothing_else() -> None:
    """A masked query does not see what lies outside its mask; patches see everything."""
    net = EoMT.tiny(6).train()
    net.annealed.progress.fill_(0)
    given: list[torch.Tensor] = []
    for block in net.encoder.blocks[-2:]:
        block.register_forward_pre_hook(lambda _, __, more: given.append(more["attn_mask"]), with_kwargs=True)
    said = net(images(64, 48))
    prefix, cells = net.encoder.prefix, 8 * 6
    for mask, early in zip(given, said.aux, strict=True):
        assert mask.shape == (2, 1, 12 + prefix + cells, 12 + prefix + cells)
        logits = (early.coefficients @ early.prototypes.flatten(2)).view(2, 12, 16, 12)
        coarse = torch.nn.functional.interpolate(logits, size=(8, 6), mode="bilinear").flatten(2)
        clear = coarse.abs() > 1e-4
        assert (mask[:, 0, :12, -cells:].eq(0) == (coarse > 0))[clear].all()
        assert mask[:, :, :, :-cells].eq(0).all()
        assert mask[:, :, 12:].eq(0).all()


def test_progress_is_no_weight() -> None:
    net = EoMT.tiny(6)
    assert float(net.annealed.progress) == 1  # who trains without telling trains without masks
    assert "annealed.progress" not in net.state_dict()
    assert [module for module in net.modules() if isinstance(module, Annealed)] == [net.annealed]


# -- the network -------------------------------------------------------------------------------------------------------------


def test_answers_before_each_block_in_training_alone() -> None:
    net = EoMT.tiny(6)
    assert len(net(images(64, 64)).aux) == 2
    assert net.eval()(images(64, 64)).aux == ()


@pytest.mark.parametrize(("patch", "scales"), [(4, 1), (8, 1), (14, 2), (16, 2), (32, 3)])
def test_prototypes_are_about_a_quarter_of_the_image(patch: int, scales: int) -> None:
    vit = {"embed_dim": 48, "depth": 2, "num_heads": 3, "patch_size": patch, "img_size": 64}
    net = EoMT(6, encoder="test_vit", vit=vit, queries=5, blocks=1).eval()
    assert net.arguments["scales"] == scales
    assert net(images(64, 64)).prototypes.shape[2:] == (-(-64 // patch) * 2**scales,) * 2
    assert 2.8 <= patch / 2**scales <= 5.7 or patch == 4  # at least one doubling


def test_registers_and_no_class_token() -> None:
    for more in ({"reg_tokens": 3}, {"class_token": False}):
        vit = {"embed_dim": 48, "depth": 2, "num_heads": 3, "patch_size": 8, "img_size": 64, **more}
        net = EoMT(6, encoder="test_vit", vit=vit, queries=5, blocks=1).eval()
        assert net.encoder.prefix == (4 if "reg_tokens" in more else 0)
        assert net(images(40, 56)).classes.shape == (2, 5, 6)
        assert EoMT(**net.arguments).encoder.prefix == net.encoder.prefix


def test_whole_patches_cover_the_image() -> None:
    """An image is enlarged to them, so a constant one stays so, up to its border."""
    vit = PlainViT("test_vit", more={"patch_size": 8, "img_size": 64}).eval()
    patches = []
    vit.network.patch_embed.register_forward_hook(lambda _, __, out: patches.append(out))
    tokens, grid = vit.tokens(torch.ones(1, 3, 17, 23))
    assert grid == (3, 3)
    assert tokens.shape == (1, vit.prefix + 9, vit.width)
    torch.testing.assert_close(patches[0], patches[0][:, :1, :1].expand_as(patches[0]))


def test_weights_from_a_file(tmp_path: Any) -> None:
    from safetensors.torch import save_file

    vit = {"embed_dim": 48, "depth": 2, "num_heads": 3, "patch_size": 8, "img_size": 64}
    net = EoMT(6, encoder="test_vit", vit=vit, queries=5, blocks=1)
    save_file(net.encoder.network.state_dict(), tmp_path / "vit.safetensors")
    again = EoMT(6, encoder="test_vit", vit=vit, queries=5, blocks=1, weights=str(tmp_path / "vit.safetensors"))
    assert again.encoder.loaded.tensors == len(net.encoder.network.state_dict())
    for one, other in zip(net.encoder.parameters(), again.encoder.parameters(), strict=True):
        assert one.equal(other)
    with pytest.raises(CheckpointError, match="tensors that fit the encoder"):
        EoMT(6, encoder="test_vit", vit={**vit, "embed_dim": 96}, blocks=1, weights=str(tmp_path / "vit.safetensors"))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"encoder": "vit_smal_patch16_224"}, "encoder 'vit_smal_patch16_224': expected a plain ViT of timm. Did you mean 'vit_"),
        ({"encoder": "resnet18"}, "encoder 'resnet18': expected a plain ViT of timm that takes these arguments"),
        ({"encoder": "test_vit", "vit": {"patches": 8}}, "expected a plain ViT of timm that takes these arguments, received {'pat"),
        ({"encoder": "test_vit", "blocks": 7}, "blocks: expected 1 to 6, as test_vit has, received 7"),
    ],
)
def test_wrong_options(options: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        EoMT(6, **options)
