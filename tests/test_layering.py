"""ARCHITECTURE.md holds the rules of imports; this reads them from there and fails on any import against them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "intarsia"


# -- the rules ---------------------------------------------------------------------------------------------------------------


def block(name: str, text: str) -> str:
    """The one code block of ARCHITECTURE.md marked `name`."""
    blocks = re.findall(rf"^```{name}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, f"ARCHITECTURE.md: expected one ```{name} block, found {len(blocks)}"
    return str(blocks[0])


def ranks(line: str) -> dict[str, int]:
    """Each folder's place in `a <- { b c } <- d`: 0, 1, 1, 2."""
    return {name: rank for rank, group in enumerate(line.split("<-")) for name in group.strip(" {}\n").split()}


def homes(lines: str) -> dict[str, list[str]]:
    """Each third party's folders and files."""
    return {words[0]: words[1:] for words in map(str.split, lines.strip().splitlines())}


def granted(lines: list[str]) -> set[tuple[str, str]]:
    """(file, folder) of each line `file asks for folder by name`."""
    return {(words[0], words[3]) for words in map(str.split, lines)}


TEXT = (ROOT / "ARCHITECTURE.md").read_text()
LINE, *EXCEPTIONS = block("imports", TEXT).strip().splitlines()
RANKS = ranks(LINE)
GRANTED = granted(EXCEPTIONS)
HOMES = homes(block("third-party", TEXT))


# -- the checker -------------------------------------------------------------------------------------------------------------


def imports(source: str, module: str) -> Iterator[tuple[int, str, bool]]:
    """(line, dotted name, whether for type checking only) of every import, wherever it stands, of `from a import b` as a.b.

    The catalogue's `find("family", ...)` and `import_module("...")` with a literal name count as imports.
    """
    tree = ast.parse(source)
    typing_only = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for statement in branch.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(module=base, names=names, level=level):
                package = module.split(".")[:-level] if level else []
                found = [".".join([*package, *([base] if base else []), alias.name]) for alias in names]
            case ast.Call(func=ast.Name(id="find"), args=[ast.Constant(value=str(family)), *_]):
                found = [f"intarsia.{family}"]
            case ast.Call(
                func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]
            ):
                found = [name]
            case _:
                continue
        yield from ((node.lineno, name, node in typing_only) for name in found)


def layer(name: str) -> str | None:
    """The folder a dotted name of intarsia lies in; the package's own names are those of api, but for its version."""
    parts = name.split(".")
    if parts[0] != "intarsia" or name in ("intarsia", "intarsia.__version__"):
        return None
    return parts[1] if parts[1] in RANKS else "api"


def broken(source: str, path: str) -> list[str]:
    """What the source of a file, `path` within src/intarsia, does against the rules."""
    module = "intarsia." + path.removesuffix(".py").replace("/", ".")
    own = path.split("/")[0].removesuffix(".py")
    own = "cli" if own in ("__init__", "__main__") else own
    faults = []
    if own not in RANKS:
        return [f"src/intarsia/{path}:1: {own} is not in ARCHITECTURE.md's line of imports: {LINE}"]
    for line, name, typing_only in imports(source, module):
        where = f"src/intarsia/{path}:{line}: imports {name}"
        other = layer(name)
        by_name = name == f"intarsia.{other}" and (path, other) in GRANTED
        if other is not None and other != own and RANKS[other] >= RANKS[own] and not by_name:
            faults.append(f"{where}: {own} may import only what stands left of it in {LINE}")
        allowed = HOMES.get(name.split(".")[0])
        if allowed is not None and not typing_only and own not in allowed and path not in allowed:
            faults.append(f"{where}: allowed only in {', '.join(allowed)}")
    return faults


def too_long(source: str, path: str) -> list[str]:
    """Whether a file is over its 300 lines, or 400 with an excuse in the header."""
    lines = source.count("\n")
    cap = 400 if "over 300 lines because" in " ".join((ast.get_docstring(ast.parse(source)) or "").lower().split()) else 300
    return [f"src/intarsia/{path}: {lines} lines, the cap is {cap}"] if lines > cap else []


# -- the checks --------------------------------------------------------------------------------------------------------------

FILES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES)
def test_file_keeps_the_rules(path: str) -> None:
    source = (SOURCE / path).read_text()
    faults = broken(source, path) + too_long(source, path)
    assert not faults, "\n".join(faults)


def test_there_is_no_utils() -> None:
    names = {part for path in FILES for part in path.removesuffix(".py").split("/")}
    assert not [name for name in names if "util" in name or "helper" in name]


def test_every_folder_is_drawn() -> None:
    planned = {"export", "report", "serve"}
    there = {path.split("/")[0].removesuffix(".py") for path in FILES} - {"__init__", "__main__"}
    assert there | planned == set(RANKS)
    for name in there:
        assert re.search(rf"^      {name}(/|\.py) ", TEXT, flags=re.MULTILINE), f"ARCHITECTURE.md's listing lacks {name}"


SLOW = {"torch", "torchvision", "timm", "accelerate", "matplotlib", "scipy"}


def loaded_by(statement: str) -> list[str]:
    """Which of the slow third parties a fresh interpreter holds after a statement."""
    code = f"import sys\n{statement}\nprint(*sorted({SLOW} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()[-1].split()


def test_importing_intarsia_loads_nothing_slow() -> None:
    assert loaded_by("import intarsia, intarsia.core") == []


def test_help_of_every_command_loads_nothing_slow() -> None:
    code = "from intarsia.cli import COMMANDS, main\nassert main(['--help']) == 0"
    assert loaded_by(f"{code}\nfor verb in COMMANDS: assert main([verb, '--help']) == 0, verb") == []


# -- the checker can fail ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        (
            "core/a.py",
            "from intarsia.ops.runs import runs",
            "core/a.py:1: imports intarsia.ops.runs.runs: core may import only what",
        ),
        (
            "data/a.py",
            "import os\nfrom intarsia import draw",
            "data/a.py:2: imports intarsia.draw: data may import only what stands left",
        ),
        ("data/a.py", "from ..metrics import semantic", "imports intarsia.metrics.semantic: data may"),
        ("data/formats/a.py", "from ...models.unet import UNet", "imports intarsia.models.unet.UNet: data may"),
        ("engine/a.py", "from intarsia import open_dataset", "imports intarsia.open_dataset: engine may"),
        ("losses/a.py", "def f():\n    import intarsia.models", "losses/a.py:2: imports intarsia.models: losses may"),
        (
            "draw/a.py",
            "from intarsia.core.catalogue import find\nfind('models', 'unet')",
            "draw/a.py:2: imports intarsia.models: draw may",
        ),
        ("core/sample.py", "from intarsia.draw.save import save", "imports intarsia.draw.save.save: core may"),
        ("ops/a.py", "from importlib import import_module\nimport_module('intarsia.data')", "imports intarsia.data: ops may"),
        ("data/a.py", "if TYPE_CHECKING:\n    from intarsia.draw import x", "imports intarsia.draw.x: data may"),
        (
            "data/a.py",
            "import torch.nn",
            "data/a.py:1: imports torch.nn: allowed only in models, losses, engine, export, decode/device.py",
        ),
        ("decode/a.py", "def f():\n    from torch import Tensor", "decode/a.py:2: imports torch.Tensor: allowed only in"),
        ("cli/a.py", "import matplotlib.pyplot as plt", "allowed only in draw, report"),
        ("extras/a.py", "", "extras/a.py:1: extras is not in ARCHITECTURE.md's line of imports"),
    ],
)
def test_checker_names_file_line_and_rule(path: str, source: str, fault: str) -> None:
    assert any(fault in found for found in broken(source, path)), broken(source, path)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("data/a.py", "from intarsia.core import Sample\nfrom intarsia.ops.runs import runs\nfrom . import dataset"),
        ("data/formats/a.py", "from ..images import read_image"),
        ("data/a.py", "if TYPE_CHECKING:\n    from torch import Tensor"),
        ("decode/device.py", "import torch"),
        ("engine/a.py", "import torch\nfrom intarsia import __version__\nfrom intarsia.models.unet import UNet"),
        ("core/sample.py", "from intarsia.core.catalogue import find\nfind('draw', 'overlay')"),
        ("__init__.py", "from intarsia.api import train"),
        ("cli/a.py", "from intarsia import api"),
    ],
)
def test_checker_lets_pass(path: str, source: str) -> None:
    assert broken(source, path) == []


def test_length_cap() -> None:
    assert too_long("x = 1\n" * 301, "ops/a.py") == ["src/intarsia/ops/a.py: 301 lines, the cap is 300"]
    assert too_long('"""Over 300 lines because\nit is a table."""\n' + "x = 1\n" * 398, "ops/a.py") == []
    assert len(too_long('"""Over 300 lines because of x."""\n' + "x = 1\n" * 400, "ops/a.py")) == 1
