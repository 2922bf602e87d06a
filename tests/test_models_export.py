"""What `exports` says of a network: exported once with height and width left open, it gives torch's logits at other sizes.

ONNX files are written by torch's tracing exporter, in half a second each, and also leave the batch open. The newer one, made from
`torch.export`, takes 5 to 20 s: that is `make test-slow`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from torch import nn
from torch.export import Dim, export
from torch.utils._pytree import tree_leaves

from intarsia.core import Dense
from intarsia.core.catalogue import find, members

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Predict = Callable[[torch.Tensor], torch.Tensor]

TRACED = (2, 3, 150, 211)
OTHERS = [(2, 3, 192, 160), (2, 3, 131, 197), (2, 3, 250, 143)]
"""Within 129 and 256: torch.export takes a map of one cell for one that always is, and the coarsest of `ddrnet` has stride 512."""
FREE = [(1, 3, 75, 64), (3, 3, 97, 320)]
"""ONNX has no such bounds."""


WITHOUT = ("mask_rcnn", "panoptic_fpn")
"""Their work depends on what they see."""


def by_route(route: str) -> list[str]:
    """The networks that declare it."""
    return [name for name in members("models") if route in find("models", name).exports]


class Logits(nn.Module):
    """The network as it is exported: images to logits, nothing else; of several tensors they are one row."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        output = self.net(images)
        if isinstance(output, Dense) and output.centre is None:
            return output.logits
        parts = tree_leaves(output if isinstance(output, Dense) else replace(output, priors=None))
        spread = [part / part.detach().std() for part in parts if isinstance(part, torch.Tensor)]  # each counts alike
        return torch.cat([part.flatten(1) for part in spread], dim=1)  # (B, n)


def drawn(name: str) -> Logits:
    """The member's small twin with no weight left at a neutral start, so that every branch of it speaks."""
    torch.manual_seed(0)
    net = find("models", name).tiny(5)
    for key, tensor in net.state_dict().items():
        if key.startswith("normalise.") or not tensor.is_floating_point():
            continue
        if tensor.ndim > 1:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)
        elif key.endswith(("running_var", "weight")):
            tensor.uniform_(0.5, 1.5)
        else:
            tensor.normal_(0, 0.1)
    return Logits(net).eval()


def images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def program(net: Logits) -> torch.export.ExportedProgram:
    return export(net, (images(*TRACED),), dynamic_shapes=({2: Dim.DYNAMIC, 3: Dim.DYNAMIC},), strict=False)


def onnx_runtime(file: Path) -> Predict:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    return lambda raw: torch.from_numpy(session.run(None, {image.name: raw.numpy()})[0])


def open_vino(file: Path) -> Predict:
    exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}  # else bfloat16 where the processor has it
    compiled = openvino.compile_model(file, "CPU", exact)
    return lambda raw: torch.from_numpy(np.array(compiled([raw.numpy()])[0]))


RUNTIMES = {"onnx": onnx_runtime, "openvino": open_vino}


def assert_same(predict: Predict, net: Logits, sizes: list[tuple[int, ...]]) -> None:
    """To 1e-4 of the farthest that logits lie from their mean, so that the arg-max differs only where two classes are that close.

    Of these random networks float32 itself, against float64, is off by up to 1e-5 of that.
    """
    for size in sizes:
        raw = images(*size)
        with torch.no_grad():
            expected, received = net(raw), predict(raw)
        assert received.shape == expected.shape, size
        error = float((received - expected).abs().max() / (expected - expected.mean()).abs().max())
        assert error < 1e-4, (size, error)


@pytest.mark.parametrize("name", members("models"))
def test_declares_known_routes(name: str) -> None:
    declared = find("models", name).exports
    assert set(declared) <= {"torch", *RUNTIMES}
    assert ("torch" in declared) != (name in WITHOUT)


@pytest.mark.parametrize("name", by_route("torch"))
def test_torch(name: str) -> None:
    net = drawn(name)
    assert_same(program(net).module(), net, OTHERS)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", by_route("onnx"))
def test_onnx(name: str, tmp_path: Path) -> None:
    net, file = drawn(name), tmp_path / "net.onnx"
    axes = {"images": {0: "batch", 2: "height", 3: "width"}}
    torch.onnx.export(net, (images(*TRACED),), str(file), dynamo=False, opset_version=17, input_names=["images"], dynamic_axes=axes)
    for route in [route for route in RUNTIMES if route in net.net.exports]:
        assert_same(RUNTIMES[route](file), net, OTHERS + FREE)


@pytest.mark.slow
@pytest.mark.parametrize("name", by_route("onnx"))
def test_onnx_of_the_torch_export(name: str, tmp_path: Path) -> None:
    net, file = drawn(name), tmp_path / "net.onnx"
    torch.onnx.export(program(net), f=str(file), dynamo=True, verbose=False)
    for route in [route for route in RUNTIMES if route in net.net.exports]:
        assert_same(RUNTIMES[route](file), net, OTHERS)
