"""The arguments that several commands take, and how results are printed."""

import json
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

MODEL_HELP = "A run folder, a checkpoint, a folder of save_pretrained, torchvision:NAME[=FILE], or hf:org/name of the hub."
MODEL = arg(metavar="MODEL", help=MODEL_HELP)
OPTIONAL_MODEL = arg(metavar="[MODEL]", help=MODEL_HELP)
DATA = arg(metavar="DATA", help="The folder of the data.")
OPTIONAL_DATA = arg(metavar="[DATA]", help="The folder of the data.")
Model = Annotated[Positional[Path], MODEL]
Data = Annotated[Positional[Path], DATA]
SOURCE = arg(
    metavar="SOURCE", help="The network to start from: a run folder, a checkpoint, torchvision:NAME[=FILE], or hf:org/name."
)
Source = Annotated[Positional[str], SOURCE]
RunFolder = Annotated[Positional[Path], arg(metavar="RUN", help="The run folder.")]
Image = Annotated[Positional[Path], arg(metavar="IMAGE", help="An image, or a folder of images.")]
Images = Annotated[Positional[tuple[Path, ...]], arg(metavar="[IMAGE ...]", help="More of them.")]


def show(result: Any, *, as_json: bool = False) -> None:
    """A result as JSON, or as lines: a list by item, a table by name."""
    if as_json:
        print(json.dumps(result, indent=2))
    elif isinstance(result, dict):
        print("\n".join(f"{name}: {value}" for name, value in result.items()))
    elif isinstance(result, list):
        print("\n".join("  ".join(map(str, item.values())) if isinstance(item, dict) else str(item) for item in result))
    else:
        print(result)
