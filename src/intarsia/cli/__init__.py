"""The command `intarsia`: a table of commands. Help and version come from the table alone, so they are there at once."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from intarsia import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "demo": "Do the whole job on synthetic scenes: make data, train, evaluate, draw.",
    "look": "Look at the data before training: image, label, overlay, a batch as augmented.",
    "download": "Fetch a public data set by name, checked, and tell its terms.",
    "doctor": "Tell what is wrong with the data, and how to mend it, before any training.",
    "plan": "Choose what to train and how, from the data and the machine, and say why.",
    "split": "Say which images are trained on, which choose and which test, in a file.",
    "convert": "Write the data in another format; what that cannot hold is told before.",
    "train": "Train a network on a folder of images and annotations.",
    "fine-tune": "Train a network that has learnt already on other data.",
    "resume": "Go on with a training that was killed, as if it had never been.",
    "lr-find": "Find a learning rate by a range test, and draw its curve.",
    "evaluate": "Score a network on a split, or one folder of label files against another.",
    "compare": "Tell whether one of two networks is better, score by score, or whether that is not shown.",
    "predict": "Segment images: an overlay and a map for each, and of objects COCO's JSON and a table.",
    "reproduce": "Run a training again and tell the difference.",
    "models": "List the networks of the catalogue.",
}
"""Each is a function of the same name in `intarsia.cli.commands`, whose docstring begins with this line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and gives the exit code: 0 done, 1 an error told in one line, 2 wrong usage, 130 interrupted.

    INTARSIA_TRACEBACK=1 lets an error through with its traceback.

    >>> main(["--version"])
    intarsia 0.1.0
    0
    """
    name, *words = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if name in ("-V", "--version", "version"):
        print(f"intarsia {__version__}")
        return 0
    from intarsia.core.errors import IntarsiaError, nearest

    if name not in COMMANDS:
        return _complain(f"unknown command {name!r}. {nearest(name, COMMANDS)}", code=2)
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # its warnings of broken files come beside our errors, and say less
    try:
        from intarsia.cli import commands
        from intarsia.cli.parse import parsed

        code = parsed(getattr(commands, name.replace("-", "_")), words, prog=f"intarsia {name}")()
    except SystemExit as stop:  # help was asked for, or the usage was wrong and has been explained
        return int(stop.code or 0)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again when it flushes at exit
        return 0
    except KeyboardInterrupt as stop:
        return _complain("; ".join(("interrupted", *filter(None, stop.args))), code=130)
    except (IntarsiaError, OSError) as error:  # also a full disk, or a folder that must not be written to
        if os.environ.get("INTARSIA_TRACEBACK"):
            raise
        return _complain(str(error), code=1)
    return code or 0


def _usage() -> str:
    """The top-level help."""
    width = max(map(len, COMMANDS)) + 2
    lines = (f"  {name:<{width}}{summary}" for name, summary in COMMANDS.items())
    return "\n".join(
        (
            "usage: intarsia COMMAND [options]",
            "",
            "Image segmentation, from a folder of images and annotations to a measured model.",
            "",
            *lines,
            "",
            "`intarsia COMMAND --help` tells the options; each is given as --epochs 40 or epochs=40.",
            "First steps: `intarsia demo`.",
        )
    )


def _complain(text: str, *, code: int) -> int:
    """One line on stderr, red on a terminal."""
    text = f"intarsia: {text}"
    print(f"\x1b[31m{text}\x1b[0m" if sys.stderr.isatty() and not os.environ.get("NO_COLOR") else text, file=sys.stderr)
    return code
