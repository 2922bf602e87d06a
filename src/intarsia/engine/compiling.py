"""torch.compile with its cost told, and a way on where there is no compiler."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch._dynamo.exc import TorchDynamoException

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

__all__ = ["Compiled"]

BACKEND = "inductor"


class Compiled:
    """A network's forward pass through torch.compile; the network itself, its keys and its weights stay as they are.

    The first call with each shape of images, which may compile, `tell`s how long it took. Where it cannot, for want of a C++
    compiler or of Triton, it tells why and the network runs as written.
    """

    def __init__(self, network: nn.Module, tell: Callable[[str], None]) -> None:
        self.network = network
        self.tell = tell
        self.forward: Callable[..., Any] = torch.compile(network, backend=BACKEND)
        self.met: set[torch.Size] = set()

    def __call__(self, images: torch.Tensor, *args: Any, **options: Any) -> Any:
        """What the network says of `images`."""
        if self.forward is self.network or images.shape in self.met:
            return self.forward(images, *args, **options)
        self.met.add(images.shape)
        clock = perf_counter()
        try:
            output = self.forward(images, *args, **options)
        except torch.OutOfMemoryError:
            raise
        except (TorchDynamoException, RuntimeError) as error:
            self.forward = self.network
            output = self.forward(images, *args, **options)  # an error of the network itself comes again
            reason = " ".join((str(error).strip() or type(error).__name__).splitlines()[:2])
            self.tell(f"--compile: torch.compile cannot compile here ({reason}), so the network runs as written")
        else:
            shape = "x".join(map(str, images.shape))
            self.tell(f"--compile: {perf_counter() - clock:.1f} s for the first batch of {shape}")
        return output
