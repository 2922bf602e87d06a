"""The one pass over the logits: equal to the plain way in every precision and layout, shared, small in memory, and compiled."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

import intarsia.losses._class_sums as module
from intarsia.core import Dense, Targets
from intarsia.losses._class_sums import class_sums
from intarsia.losses.boundary import boundary_loss
from intarsia.losses.cldice import cldice_loss
from intarsia.losses.focal import focal_loss
from intarsia.losses.hausdorff import hausdorff_loss
from intarsia.losses.lovasz_softmax import lovasz_softmax_loss
from intarsia.losses.weighted_sum import WeightedSum

if TYPE_CHECKING:
    from collections.abc import Callable


def case(*size: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 5, *size, generator=generator, dtype=torch.float64)
    return logits.to(dtype).requires_grad_(), torch.randint(-1, 6, (2, *size), generator=generator)  # 5 is no channel: void


def plainly(logits: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    known = (labels >= 0) & (labels < 5)
    truth = torch.nn.functional.one_hot(labels.where(known, 0), 5).movedim(-1, 1) * known[:, None]
    p = logits.softmax(dim=1)
    sums = [truth * logits.log_softmax(dim=1), truth * p, p * known[:, None], truth]
    return [one.flatten(2).sum(dim=2).to(logits.dtype) for one in sums]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there are several, the last one short."""
    monkeypatch.setattr(module, "BLOCK", 16)


@pytest.mark.parametrize("size", [(6, 7), (3, 4, 5), (1, 1)])
@pytest.mark.parametrize("layout", ["planes", "channels_last", "strided", "transposed"])
def test_sums_and_gradient_equal_the_plain_way(size: tuple[int, ...], layout: str) -> None:
    logits, labels = case(*size)
    if layout == "channels_last":
        logits = logits.detach().movedim(1, -1).contiguous().movedim(-1, 1).requires_grad_()
    if layout == "strided":
        logits = logits.detach().repeat_interleave(2, dim=-1)[..., ::2].requires_grad_()
    if layout == "transposed":
        logits = logits.detach().transpose(-1, -2).contiguous().transpose(-1, -2).requires_grad_()
    slopes = torch.randn(3, 2, 5, dtype=torch.float64)
    ours, theirs = class_sums(logits, labels), plainly(logits, labels)
    torch.testing.assert_close(list(ours), theirs)
    gradients = [torch.autograd.grad((torch.stack(list(sums)[:3]) * slopes).sum(), logits)[0] for sums in (ours, theirs)]
    torch.testing.assert_close(*gradients)
    assert gradients[0].movedim(1, -1)[labels < 0].eq(0).all()
    assert gradients[0].movedim(1, -1)[labels == 5].eq(0).all()


def test_gradcheck() -> None:
    logits, labels = case(3, 4)
    assert torch.autograd.gradcheck(lambda logits: tuple(class_sums(logits, labels)[:3]), logits)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_sums_are_float32(dtype: torch.dtype) -> None:
    logits, labels = case(6, 7, dtype=dtype)
    sums = class_sums(logits, labels)
    assert {one.dtype for one in sums} == {torch.float32}
    torch.testing.assert_close(list(sums), [one.float() for one in plainly(logits.detach().double(), labels)])
    sum(one.sum() for one in sums).backward()
    assert logits.grad.dtype == dtype


def test_large_and_infinite_logits() -> None:
    """Nothing overflows; a class that is ruled out has probability 0."""
    logits = torch.tensor([1e4, -1e4, -torch.inf]).reshape(1, 3, 1, 1).requires_grad_()
    sums = class_sums(logits, torch.zeros(1, 1, 1).long())
    assert sums.log_right.tolist() == [[0, 0, 0]]
    assert sums.predicted.tolist() == [[1, 0, 0]]
    sums.right.sum().backward()
    assert logits.grad.eq(0).all()


def test_autocast_changes_nothing() -> None:
    logits, labels = case(6, 7, dtype=torch.float32)
    plain = class_sums(logits, labels)
    [gradient] = torch.autograd.grad(plain.predicted[:, 0].sum(), logits)
    with torch.autocast("cpu", torch.bfloat16):
        sums = class_sums(logits, labels)
        assert torch.equal(torch.stack(list(sums)), torch.stack(list(plain)))
        assert torch.equal(torch.autograd.grad(sums.predicted[:, 0].sum(), logits)[0], gradient)


def test_going_back_twice() -> None:
    logits, labels = case(6, 7)
    value = class_sums(logits, labels).right.sum()
    first, second = (torch.autograd.grad(value, logits, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def some_targets(labels: torch.Tensor) -> Targets:
    batch = len(labels)
    return Targets(
        labels.clamp(max=4)[:, None] + (labels >= 0)[:, None], torch.arange(5).repeat(batch, 1), torch.zeros(batch, 5) > 0, 5
    )


class Passes(TorchDispatchMode):
    """Counts passes over logits."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.intarsia.class_sums.default
        return func(*args, **kwargs or {})


def test_one_pass_for_all_that_are_sums() -> None:
    logits, labels = case(6, 7)
    names = ["cross_entropy", "dice", "generalised_dice", "tversky"]
    with Passes() as passes:
        terms = WeightedSum(dict.fromkeys(names, 1.0))(Dense(logits), some_targets(labels))
    assert list(terms) == names
    assert passes.count == 1


MEMORY = """
import re, torch
from pathlib import Path
from intarsia.core import Dense, Targets
from intarsia.losses.weighted_sum import WeightedSum
def resident(field):  # not ru_maxrss, which begins with that of the process that started this one
    return 1024 * int(re.search(field + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
def step(size):
    logits = torch.zeros(2, 19, size, size).normal_().requires_grad_()
    ids = torch.randint(-1, 20, (2, 1, size, size), dtype=torch.int8)
    targets = Targets(ids, torch.arange(19).repeat(2, 1), torch.zeros(2, 19) > 0, 19)
    before = resident("VmRSS")
    sum(WeightedSum()(Dense(logits), targets).values()).backward()
    return (resident("VmHWM") - before) / (logits.numel() * 4)
step(192)  # what is loaded once
print(step(512))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory() -> None:
    """Beyond the logits the default pair takes their gradient, which is as large, and little else."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert 0.9 < float(done.stdout) < 1.5


def kept(loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> float:
    """What a loss keeps for its way back, beside the logits, in arrays (B, *S) of float32."""
    logits, labels = case(48, 48, dtype=torch.float32)
    held: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        loss(logits, labels.where(labels < 5, -1))
    own = logits.untyped_storage().data_ptr()
    return sum(tensor.untyped_storage().nbytes() for place, tensor in held.items() if place != own) / (4 * labels.numel())


@pytest.mark.parametrize(
    ("loss", "most"),
    [(focal_loss, 2.5), (lovasz_softmax_loss, 2.5), (boundary_loss, 2.5), (hausdorff_loss, 3.5)],
    ids=["focal", "lovasz_softmax", "boundary", "hausdorff"],
)
def test_what_the_other_losses_keep(loss: Callable[..., torch.Tensor], most: float) -> None:
    """docs/losses.md tells it, in arrays of the logits' size."""
    assert kept(loss) / 5 < most


def test_what_a_class_and_an_iteration_of_cldice_keep() -> None:
    one, two = (kept(partial(cldice_loss, iterations=count, classes=[1])) for count in (1, 2))
    assert two - one < 25


def test_compiled() -> None:
    """One graph, without a break, and the same loss and gradient."""
    logits, labels = case(6, 7, dtype=torch.float32)

    def loss(logits: torch.Tensor) -> torch.Tensor:
        sums = class_sums(logits, labels)
        return -sums.log_right.sum() + sums.right.sum()

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    gradients = [torch.autograd.grad(one(logits), logits)[0] for one in (loss, compiled)]
    torch.testing.assert_close(compiled(logits), loss(logits))
    torch.testing.assert_close(*gradients)


def test_the_operator_keeps_torchs_rules() -> None:
    logits, labels = case(3, 4)
    labels = labels.where(labels < 5, -1)
    torch.library.opcheck(torch.ops.intarsia.class_sums.default, (logits, labels))
