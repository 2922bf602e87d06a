"""Files written whole or not at all."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["whole_file", "write_json"]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A neighbouring path to write to; it takes the name `path` only when the block ends well, and is gone if it does not.

    A kill or a full disk leaves an older file of that name untouched. The draft keeps the suffix, by which many libraries pick the
    codec.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix, delete=False) as handle:
        draft = Path(handle.name)
    try:
        yield draft
        with draft.open("rb") as handle:
            os.fsync(handle.fileno())
        draft.chmod(0o644)  # temporary files are made private
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Indented JSON, whole or not at all."""
    with whole_file(path) as draft:
        draft.write_text(json.dumps(content, indent=2) + "\n")
