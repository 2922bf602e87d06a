"""From the words of a command line to a call."""

from __future__ import annotations

import inspect
import os
import re
import tomllib
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from intarsia.engine.settings import from_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["flags", "parsed"]

ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z][\w-]*)=(?P<value>.*)", re.DOTALL)
TABLES = ("--loss", "--loss-args", "--model-args", "--data-args", "--measure-args", "--decode-args")
"""The options that themselves take name=value."""
SEVERAL = (*TABLES, "--size", "--crop", "--scale", "--mean", "--std", "--track", "--measures", "--lose", "--waive", "--spacing")
"""The options that take several values, which name=value separates by commas."""
REGISTRY = ConstructorRegistry()


def parsed(command: Callable[..., int | None], words: Sequence[str], *, prog: str) -> Callable[[], int | None]:
    """The call of `command` that `words` ask for; its signature and docstring make options and help.

    Exits by SystemExit where help is asked for (0) or the words are wrong (2, explained on stderr). Where `command` takes
    `training` and `config`, that TOML file gives the defaults of `training`; raises OptionError for a wrong file.
    """
    words = [part for word in flags(words) for part in (word.split("=", 1) if word.startswith("--config=") else [word])]
    signature = inspect.signature(command, eval_str=True)
    parameters = dict(signature.parameters)
    if "config" in parameters and "--config" in words[:-1]:
        file = Path(words[words.index("--config") + 1])
        training = parameters["training"]
        parameters["training"] = training.replace(default=from_toml(training.annotation, file))

    @wraps(command)
    def call(*args: Any, **kwargs: Any) -> Callable[[], int | None]:
        return partial(command, *args, **kwargs)  # tyro is to parse alone: it takes a ValueError of the command for wrong usage

    call.__signature__ = signature.replace(parameters=list(parameters.values()))  # type: ignore[attr-defined]
    with REGISTRY:
        return tyro.cli(call, args=words, prog=prog, config=(tyro.conf.OmitArgPrefixes,))


def flags(words: Sequence[str]) -> list[str]:
    """`name=value` as `--name value`, except the pairs that an option such as --loss takes, and names of files that are there.

    >>> flags(["data", "epochs=3", "size=64,96", "augment=false", "--loss", "dice=1"])
    ['data', '--epochs', '3', '--size', '64', '96', '--no-augment', '--loss', 'dice=1']
    """
    result, flag = [], ""
    for word in words:
        if word.startswith("--"):
            flag = word
        pair = ASSIGNMENT.fullmatch(word)
        if pair is None or flag in TABLES or os.path.exists(word):
            result.append(word)
            continue
        name, value = "--" + pair["name"].replace("_", "-"), pair["value"]
        if value.lower() in ("true", "false"):
            result.append(name if value.lower() == "true" else name.replace("--", "--no-", 1))
        else:
            result += [name, *(value.split(",") if name in SEVERAL else [value])]
    return result


@REGISTRY.primitive_rule
def _table(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[dict[str, Any]] | None:
    """How tyro reads a dictionary: name=value pairs, the values as TOML has them, any other text as it stands."""
    if get_origin(info.type) is not dict:
        return None
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=VALUE ...",
        instance_from_str=lambda words: dict(map(_pair, words)),
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda table: [f"{name}={value}" for name, value in table.items()],
    )


def _pair(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not name or not equals:
        raise ValueError(f"expected name=value, received {word!r}")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value
