"""Whether a foreign network is set as the only way that ours can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["demand"]


def demand(source: str, config: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
    """Raises CheckpointError where `config` sets one of `fixed` otherwise; what it leaves out is as it should be.

    >>> demand("hf:org/name", {"strides": [4, 2, 2, 2]}, {"strides": [4, 2, 2, 2], "hidden_act": "gelu"})
    """
    for name, value in fixed.items():
        given = config.get(name, value)
        if (list(given) if isinstance(given, tuple) else given) != value:
            raise CheckpointError(f"{source}, {name} in its config", expected=value, received=given, hint="Ours knows no other.")
