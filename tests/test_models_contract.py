"""What every network promises, over every file of models/: a new architecture is tested by being there."""

from __future__ import annotations

import json
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.utils._pytree import tree_leaves, tree_map_only

from intarsia.core import Dense, Output, Queries, Regions, Targets
from intarsia.core.catalogue import find, members
from intarsia.data.scenes import CLASSES, scene
from intarsia.losses.weighted_sum import WeightedSum
from intarsia.models.encoders.timm_encoder import TimmEncoder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parametrize("name", members("models"))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def tiny(name: str, channels: int = 5, in_channels: int = 3) -> Any:
    """The member's small twin, its batch norms no longer at their neutral start, ready to predict."""
    net = find("models", name).tiny(channels, in_channels)
    for key, tensor in net.state_dict().items():
        if key.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    return net.eval()


def loss_of(name: str, output: Output, targets: Targets) -> torch.Tensor:
    """By the losses that the model names, as the engine asks for them: here every class is a thing."""
    losses = WeightedSum(find("models", name).losses, things=range(targets.num_classes))
    return sum(losses(output, targets).values())


def truth(name: str, batch: int, *size: int, channels: int = 5) -> Targets:
    """Noise of all classes and of nothing; one of objects has a channel for nothing beside those of its classes."""
    count = channels - (find("models", name).tasks[0] != "semantic")
    ids, crowd = torch.randint(0, count + 1, (batch, 1, *size)), torch.zeros(batch, count, dtype=torch.bool)
    return Targets(ids, torch.arange(count).repeat(batch, 1), crowd, count)


def images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def tensors(output: Output) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)]


def assert_same(one: Output, other: Output, tolerance: float = 1e-5) -> None:
    assert type(one) is type(other)
    torch.testing.assert_close(tensors(one), tensors(other), rtol=tolerance, atol=tolerance)


def test_tiny_is_tiny(name: str) -> None:
    assert sum(parameter.numel() for parameter in tiny(name).parameters()) < 300_000


@pytest.mark.parametrize("size", [(64, 48), (33, 50), (7, 3), (1, 1)])
@pytest.mark.parametrize("in_channels", [1, 3, 6])
def test_any_size_and_channels(name: str, size: tuple[int, int], in_channels: int) -> None:
    output = tiny(name, in_channels=in_channels)(images(2, in_channels, *size))
    assert tensors(output)
    assert all(tensor.isfinite().all() for tensor in tensors(output))
    if isinstance(output, Regions):
        assert all(len(rows) == 2 for rows in (output.boxes, output.classes, output.scores, output.masks))
    else:
        assert all(len(tensor) == 2 for tensor in tensors(replace(output, priors=None) if isinstance(output, Queries) else output))
    if isinstance(output, Queries):
        assert output.classes.shape[2] == 5
    if isinstance(output, Dense):
        assert output.logits.shape[1] == 5
        assert all(0 < ours <= theirs for ours, theirs in zip(output.logits.shape[2:], size, strict=True))


def test_raw_values_count_not_their_dtype(name: str) -> None:
    net, raw = tiny(name), images(2, 3, 32, 32)
    expected = net(raw)
    for dtype in (torch.uint16, torch.int16, torch.float32):
        assert_same(net(raw.to(dtype)), expected, 0)


def test_invalid_pixels_do_not_speak(name: str) -> None:
    net, raw = tiny(name), images(2, 3, 32, 32).float()
    valid = torch.ones(2, 32, 32, dtype=torch.bool)
    valid[:, 20:] = False
    expected = net(raw, valid)
    raw[:, :, 20:] = torch.nan
    assert_same(net(raw, valid), expected, 0)


def test_batch_of_two_is_two_singles(name: str) -> None:
    net, raw = tiny(name), images(2, 3, 40, 56)
    both = net(raw)
    bare = replace(both, priors=None) if isinstance(both, Queries) else both
    for image in range(2):
        single = tree_map_only(torch.Tensor, lambda tensor, one=slice(image, image + 1): tensor[one], bare)
        if isinstance(both, Regions):
            rows = {kind: getattr(both, kind)[image : image + 1] for kind in ("boxes", "classes", "scores", "masks")}
            single = Regions(**rows, semantic=single.semantic)
        elif isinstance(both, Queries):
            single = replace(single, priors=both.priors)
        assert_same(net(raw[image : image + 1]), single, 1e-4)


def test_every_parameter_has_a_finite_gradient(name: str) -> None:
    net = tiny(name).train()
    targets = truth(name, 2, 33, 50)
    loss_of(name, net(images(2, 3, 33, 50), None, targets), targets).backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


def test_one_image_of_a_few_pixels_can_be_trained_on(name: str) -> None:
    """Pooled to one cell it gives one value of a channel, of which batch norm has no deviation: ours bear it. Those of timm's
    encoders do not, and speak as in fine-tuning, frozen."""
    net = tiny(name).train()
    if isinstance(net.encoder, TimmEncoder):
        net.encoder.eval()
    for size in (16, 1):
        targets = truth(name, 1, size, size)
        output = net(images(1, 3, size, size), None, targets)
        net.zero_grad()
        loss_of(name, output, targets).backward()
        rare = isinstance(output, Regions)  # of which no part need be asked where there is nearly no picture
        assert all(rare if one.grad is None else one.grad.isfinite().all() for one in net.parameters())
        assert all(buffer.isfinite().all() for buffer in net.buffers())


def test_saves_and_comes_back(name: str, tmp_path: Path) -> None:
    net, raw = tiny(name, in_channels=4), images(1, 4, 33, 50)
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    arguments = json.loads(json.dumps(net.arguments))
    again = find("models", name)(**arguments).eval()
    again.load_state_dict(load_file(tmp_path / "net.safetensors"))
    assert_same(again(raw), net(raw), 0)
    assert again.pixels == net.pixels
    assert again.arguments == net.arguments


def test_exports(name: str) -> None:
    net, raw = tiny(name), images(1, 3, 33, 50)
    if not net.exports:  # says that it has no route
        return
    assert_same(torch.export.export(net, (raw,)).module()(raw), net(raw))


def test_learns_scenes(name: str) -> None:
    samples = [scene(seed=0, index=index, size=(48, 64)) for index in range(4)]
    raw = torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2)  # (B, H, W, C) -> (B, C, H, W)
    rows = max(len(sample.segments.classes) for sample in samples)
    classes = np.stack(
        [np.pad(s.segments.classes, (0, rows - len(s.segments.classes)), constant_values=-1) for s in samples]
    )  # (B, N)
    ids = torch.from_numpy(np.stack([sample.segments.ids.astype(np.int32) for sample in samples]))  # (B, L, H, W)
    targets = Targets(ids, torch.from_numpy(classes), torch.zeros(classes.shape, dtype=torch.bool), len(CLASSES))

    net = find("models", name).tiny(len(CLASSES) + (find("models", name).tasks[0] != "semantic")).train()
    semantic = find("models", name).tasks[0] == "semantic"
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02 if semantic else 0.005)
    history = []
    for _ in range(40):
        output = net(raw, None, targets)
        loss = loss_of(name, output, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(float(loss.detach()))
    if semantic:
        assert history[-1] < history[0] / 2, history
    else:  # regions and points are drawn at random
        assert fmean(history[-5:]) < 0.7 * fmean(history[:5]), history
