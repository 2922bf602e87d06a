"""Every architecture that takes timm's encoders, on kinds of them that differ: residual, patches without overlap (they round down),
inverted bottlenecks, a transformer, a name with a tag. Each network learns from one image of odd size."""

from __future__ import annotations

from inspect import signature
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves

import intarsia.models  # noqa: F401  (makes outputs known to torch as trees)
from intarsia.core.catalogue import find, members
from intarsia.models.encoders.make import make_encoder

SIZE = (33, 50)
ENCODERS = ("resnet18", "convnext_atto", "mobilenetv3_small_050", "pvt_v2_b0", "test_resnet.r160_in1k")
ROUND_DOWN = {"convnext_atto"}  # of its levels all but the finest, whose size is that of the enlarged image
NOT_DILATED = {"pvt_v2_b0"}
NETWORKS = [
    name
    for name in members("models")
    if "encoder" in signature(find("models", name)).parameters and name != "segnet"  # VGG's
]
OBJECTS = [name for name in NETWORKS if find("models", name).tasks[0] != "semantic" and name != "eomt"]  # a plain ViT's
NETWORKS = [name for name in NETWORKS if find("models", name).tasks[0] == "semantic"]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def up(length: int, stride: int) -> int:
    return -(-length // stride)


def sizes(encoder: str, strides: tuple[int, ...]) -> list[tuple[int, ...]]:
    """What the levels of an image of `SIZE` promise."""
    finest = strides[0]
    if encoder in ROUND_DOWN:
        return [tuple(up(length, finest) * finest // stride for length in SIZE) for stride in strides]
    return [tuple(up(length, stride) for length in SIZE) for stride in strides]


def options(network: Any, encoder: str) -> dict[str, Any]:
    """Narrow, and without the chance of dropout to hide what does not learn."""
    asked = {"width": 16, "dropout": 0.0, "output_stride": 32 if encoder in NOT_DILATED else 16}
    return {name: value for name, value in asked.items() if name in signature(network).parameters}


@pytest.mark.parametrize("output_stride", [None, 16])
@pytest.mark.parametrize("encoder", ENCODERS)
@torch.no_grad()
def test_levels_lie_where_strides_say(encoder: str, output_stride: int | None) -> None:
    if output_stride and encoder in NOT_DILATED:
        output_stride = 32
    for in_channels in (1, 4):
        network = make_encoder(encoder, in_channels, output_stride=output_stride).eval()
        levels = network(torch.zeros(2, in_channels, *SIZE))
        assert [level.shape[1] for level in levels] == list(network.channels)
        assert [tuple(level.shape[2:]) for level in levels] == sizes(encoder, network.strides)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("name", OBJECTS)
@torch.no_grad()
def test_objects_stand_on_any(name: str, encoder: str) -> None:
    network = find("models", name)
    net = network(4, 4, encoder=encoder, **options(network, encoder)).eval()
    said = net(torch.randint(0, 256, (1, 4, *SIZE), dtype=torch.uint8))
    leaves = [leaf for leaf in tree_leaves(said) if isinstance(leaf, torch.Tensor)]
    assert leaves
    assert all(leaf.isfinite().all() for leaf in leaves)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_learns_from_one_image(name: str, encoder: str) -> None:
    network = find("models", name)
    in_channels = (1, 4)[(NETWORKS.index(name) + ENCODERS.index(encoder)) % 2]  # each network and each encoder with both
    net = network(3, in_channels, encoder=encoder, **options(network, encoder)).train()
    before = {key: parameter.detach().clone() for key, parameter in net.named_parameters()}
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    output = net(torch.randint(0, 256, (1, in_channels, *SIZE), dtype=torch.uint8))
    sum((one.logits - 1).square().mean() for one in (output, *output.aux)).backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    optimiser.step()
    assert any(not torch.equal(parameter, before[key]) for key, parameter in net.named_parameters() if key.startswith("encoder."))
    assert output.logits.shape[:2] == (1, 3)
    assert tuple(output.logits.shape[2:]) == promised(net, name, encoder)


def promised(net: Any, name: str, encoder: str) -> tuple[int, ...]:
    """The image's size, or that of the encoder's level of the stride that the network names."""
    if name == "fcn":
        return SIZE
    own = {"lraspp": 8, "deeplabv3_plus": 4}
    stride = own.get(name, getattr(net, "stride", net.encoder.strides[-1]))
    if "output_stride" in net.arguments and name not in own:
        assert stride == net.arguments["output_stride"]
    return sizes(encoder, (net.encoder.strides[0], stride))[1]
