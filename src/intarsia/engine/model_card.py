"""The model card: what someone who finds the folder must know, in Markdown with the front matter of the Hugging Face hub."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from intarsia.core.licences import UNKNOWN
from intarsia.engine.spelling import spelled

if TYPE_CHECKING:
    from intarsia.core import Pixels
    from intarsia.engine.recipe import Recipe

__all__ = ["model_card"]

HUB = re.compile(
    r"apache-2\.0|mit|bsd-[23]-clause|cc0-1\.0|cc-by-[34]\.0|cc-by-(nc|sa|nc-nd|nc-sa)-[34]\.0|cc-by-nd-4\.0|openrail|"
    r"gpl-2\.0|[al]?gpl-3\.0|mpl-2\.0|isc|unlicense"
)
"""The licences that the hub knows by these names."""

FACTS = {
    "source": "translated from",
    "start_from": "fine-tuned from",
    "data": "trained on",
    "data_hash": "data hash",
    "epoch": "epochs",
    "intarsia": "Intarsia",
}
"""How what `Recipe.origin` tells is called here; anything else keeps its name."""

PAGE = """---
library_name: intarsia
pipeline_tag: image-segmentation
{licence}tags: [image-segmentation, {task}-segmentation]
---

# {title}

A network for {task} segmentation, `{model}`, of [Intarsia](https://pypi.org/project/intarsia/).

```python
import intarsia

model = intarsia.load("{title}")  # this folder, or "hf:org/name"
model.predict("image.png").save("answer.png")
```

| | |
|---|---|
{rows}

## Classes

{classes}

## Licences

{licences}
"""


def model_card(recipe: Recipe, title: str) -> str:
    """The text of README.md for a saved model."""
    told = {_called(name): value for name, value in recipe.origin.items() if isinstance(value, str | int | float)}
    facts = {
        **{name: f"{value:.4f}" if isinstance(value, float) else value for name, value in told.items()},
        "input": f"{recipe.in_channels} channels at {' x '.join(map(str, recipe.size))} (height x width)",
        "pixels": _scaling(recipe.pixels),
        "arguments": ", ".join(f"{name}={value!r}" for name, value in recipe.arguments.items()) or "the model's own",
    }
    uses = "known to allow" if recipe.licences.commercial else "not known to allow"
    return PAGE.format(
        title=title,
        task=recipe.task,
        model=recipe.model,
        licence=_front(recipe.licences.weights),
        rows="\n".join(f"| {name} | {value} |" for name, value in facts.items()),
        classes=", ".join(recipe.classes.names),
        licences="\n".join(
            (
                f"- code: {recipe.licences.code}",
                f"- weights: {_weights(recipe.licences.weights)}",
                f"- data: {recipe.licences.data}",
                "",
                f"Code and weights are {uses} commercial use.",
            )
        ),
    )


def _called(fact: str) -> str:
    """What a fact of `Recipe.origin` is called; a score on the val split by its name."""
    score = fact.removeprefix("val_")
    return FACTS.get(fact, fact) if score == fact else f"{spelled(score)} on the val split"


def _front(licence: str) -> str:
    """The lines of the front matter that tell the licence of the weights; none where there is none or nobody has said."""
    if licence in ("none", UNKNOWN):
        return ""
    if HUB.fullmatch(licence.lower()):
        return f"license: {licence.lower()}\n"
    return f"license: other\nlicense_name: {re.sub('[^a-z0-9.]+', '-', licence.lower()).strip('-')}\n"


def _scaling(pixels: Pixels) -> str:
    """How raw values become network input, in words."""
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (pixels.mean, pixels.std))
    low_high = (
        f"{pixels.low:g} to {pixels.high:g}"
        if pixels.kind == "fixed"
        else "percentiles {:g} to {:g} of each image".format(*pixels.percentiles)
    )
    return f"{low_high} become 0 to 1, then mean {mean} and standard deviation {std}"


def _weights(licence: str) -> Any:
    return "trained from random numbers, so those of whoever trained them" if licence == "none" else licence
