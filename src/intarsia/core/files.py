"""Files written whole or not at all."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["whole_file", "write_json"]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A neighbouring path to write to; it takes the name `path` only when the block ends well, and is gone if it does not.

    A kill or a full disk leaves an older file of that name untouched. The draft keeps the suffix, by which many libraries pick the
    codec.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{token_hex(8)}{path.suffix}")
    draft.touch(exist_ok=False)  # the kernel takes the umask off; to read it here would change it for all threads a moment
    try:
        yield draft
        with draft.open("rb") as handle:
            os.fsync(handle.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Indented JSON, whole or not at all."""
    with whole_file(path) as draft:
        draft.write_text(json.dumps(content, indent=2) + "\n")
