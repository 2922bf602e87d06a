"""The losses that a network of regions takes of itself while it trains, as a loss of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Regions as RegionsOutput

if TYPE_CHECKING:
    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output

__all__ = ["Regions"]


class Regions:
    """The losses in a Regions output, each times `weight`, under the network's own names.

    Which regions are trained on is drawn inside the network, so only it can take them: it must be in training mode and see the
    targets. Raises InvalidNoun for another kind of output and for one without losses.

    >>> import torch
    >>> from intarsia.core import Targets
    >>> targets = Targets(torch.zeros(1, 1, 2, 2), torch.zeros(1, 0), torch.zeros(1, 0), 1)
    >>> Regions(0.5)(RegionsOutput(losses={"box": torch.tensor(3.0)}), targets)
    {'box': tensor(1.5000)}
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalars under their names."""
        if not isinstance(output, RegionsOutput):
            raise InvalidNoun("regions loss", expected="a Regions output", received=type(output).__name__)
        if output.losses is None:
            hint = "Call the network in training mode, with targets."
            raise InvalidNoun("regions loss", expected="an output that holds losses", received="none", hint=hint)
        return {name: self.weight * value for name, value in output.losses.items()}
