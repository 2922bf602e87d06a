"""Shapes said in the letters of the glossary, and checked in them."""

from __future__ import annotations

from typing import Any

from intarsia.core.errors import InvalidNoun

__all__ = ["check_shapes"]


def check_shapes(noun: str, **arrays: tuple[Any, str]) -> None:
    """Raises InvalidNoun unless each array has the shape that its letters say, such as "B C *s", one size per letter throughout.

    Digits are sizes; `*s` and `*S` are two or three axes, d of them. None is left out, and so is what has no shape: torch builds
    nouns of placeholders when it exports, compiles or maps over them.

    >>> import numpy as np
    >>> check_shapes("Dense", logits=(np.zeros((2, 5, 8, 9)), "B C *s"), centre=(np.zeros((2, 1, 8, 9)), "B 1 *s"))
    """
    sizes: dict[str, Any] = {}
    for name, (array, letters) in arrays.items():
        shape = getattr(array, "shape", None)
        if isinstance(shape, tuple) and not _fits(shape, letters.split(), sizes):
            known = ", ".join(f"{letter} {sizes[letter]}" for letter in letters.split() if letter in sizes)
            expected = f"({', '.join(letters.split())})" + (f" where {known}" if known else "")
            raise InvalidNoun(f"{noun} {name}", expected=expected, received=tuple(shape))


def _fits(shape: tuple[Any, ...], letters: list[str], sizes: dict[str, Any]) -> bool:
    """Whether the shape is that of the letters; only then are its sizes kept for the arrays that follow."""
    found = dict(sizes)
    if letters[-1].startswith("*"):
        start = len(letters) - 1
        if len(shape) - start not in (2, 3):
            return False
        dims = len(shape) - start
        named = [
            *zip(letters[:start], shape[:start], strict=True),
            (letters[-1], tuple(shape[start:])),
            ("d", dims),
            ("2d", 2 * dims),
        ]
    elif len(shape) == len(letters):
        named = list(zip(letters, shape, strict=True))
    else:
        return False
    if any((int(letter) if letter.isdigit() else found.setdefault(letter, size)) != size for letter, size in named):
        return False
    sizes.update(found)
    return True
