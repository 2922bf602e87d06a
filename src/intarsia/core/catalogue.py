"""The folder listing is the registry: adding a thing is adding one file.

`find("models", "unet")` imports `intarsia/models/unet.py` and gives the first name of its `__all__`. Outside code is named
`"package.module:Name"`. Files and folders that start with an underscore, and sub-packages, are not members.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from intarsia.core.errors import OptionError, nearest

__all__ = ["find", "members"]

PACKAGE = Path(__file__).parents[1]


def members(family: str) -> list[str]:
    """The names in a family such as "models" or "data.formats", sorted, without importing any.

    >>> "errors" in members("core")
    True
    """
    folder = PACKAGE.joinpath(*family.split("."))
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def find(family: str, name: str) -> Any:
    """What the member's `__all__` names first; `"package.module:Name"` reaches outside.

    Raises OptionError with the nearest name for an unknown one.

    >>> find("core", "catalogue").__name__
    'find'
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError, ValueError, TypeError) as error:  # the last two for an empty or relative module
            raise OptionError(f"{family} {name!r}", expected="an importable 'package.module:Name'", received=str(error)) from error
    known = members(family)
    if name not in known:
        raise OptionError(f"{family} {name!r}", expected="one of the catalogue", hint=nearest(name, known))
    module_ = import_module(f"intarsia.{family}.{name}")
    return getattr(module_, module_.__all__[0])
