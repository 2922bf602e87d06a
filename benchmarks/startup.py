"""How long `intarsia --help` and a torch-free `intarsia evaluate` take to start, against `python -c pass` and `import torch`.

`evaluate` scores one pair of 8x8 label files: the whole command, so an upper bound of the time before the first file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from _rounds import medians
from intarsia.data.images import write_labels

GOALS = {"intarsia --help": 300, "intarsia evaluate": 600}
"""Milliseconds."""


def main() -> None:
    """Prints a row per command, ours with a verdict, and fails where one of ours has loaded torch."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as folder:
        truth, prediction = Path(folder, "truth"), Path(folder, "prediction")
        for place in (truth, prediction):
            place.mkdir()
            write_labels(place / "street.png", np.eye(8, dtype=np.uint8))
        classes = Path(folder, "classes.txt")
        classes.write_text("road\nsky\n")
        arguments = {
            "intarsia --help": ["--help"],
            "intarsia evaluate": [
                "evaluate", "--truth", str(truth), "--prediction", str(prediction), "--classes", str(classes)
            ],
        }  # fmt: skip
        start = "import sys; from intarsia.cli import main; code = main(sys.argv[1:]); "
        for words in arguments.values():
            run("-c", start + "sys.exit('torch was loaded' if 'torch' in sys.modules else code)", *words)
        commands = {name: ("-c", start + "sys.exit(code)", *words) for name, words in arguments.items()}
        commands |= {"python, nothing": ("-c", "pass"), "python, import torch": ("-c", "import torch")}
        times = medians({name: lambda words=words: run(*words) for name, words in commands.items()}, rounds)
    for name, milliseconds in times.items():
        verdict = (
            f"(asked: {GOALS[name]} ms) {'yes' if milliseconds <= GOALS[name] else 'no'}, no torch loaded" if name in GOALS else ""
        )
        print(f"{name:22}{milliseconds:7.0f} ms  {verdict}".rstrip())


def run(*words: str) -> None:
    """One Python process, in silence unless it fails."""
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
