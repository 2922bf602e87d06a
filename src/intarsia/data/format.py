"""Format: what each file in data/formats offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from intarsia.core.classes import ClassSet
    from intarsia.data.dataset import Dataset
    from intarsia.data.holds import Holds
    from intarsia.data.records import Record

__all__ = ["Format"]


class Format(Protocol):
    """The contract of each file in data/formats: a namespace of five functions and what the format holds."""

    holds: Holds
    looks: str
    """What such a folder looks like, in a few words."""
    general: bool
    """Whether a folder that looks like another format too is left to that."""

    @staticmethod
    def detect(path: Path, **options: Any) -> str:
        """Why a folder looks like this format, in a few words, given the options of `open`; empty where it does not.

        By the layout alone: what is missing within it is for `open` to name.
        """

    @staticmethod
    def open(path: Path, **options: Any) -> Dataset:
        """The data set in a folder."""

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The files in the places of images and labels that are used for none of the `records`, all that `open` gave: those that
        lack their other half.
        """

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """The classes as reading would give them back; CannotHold where their names have no place."""

    @staticmethod
    def write(dataset: Dataset, path: Path, **options: Any) -> str | None:
        """Write a data set to a folder that has no data yet; CannotHold before the first byte. Gives what to tell of it, if any."""
