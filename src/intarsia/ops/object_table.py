"""The objects of an image as the rows of a table: what each is, where it lies and how large it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["object_table"]

AXES = "xyz"


def object_table(
    segments: Segments,
    classes: ClassSet,
    *,
    key: str = "",
    spacing: Sequence[float] | None = None,
    geo: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """A row for each thing that has pixels and is no crowd, in the order of the segments, of plain values by column:

    `image` (the key), `object` (its id in the segments), `class` and `score`; the box `x0 y0 x1 y1`, in a volume `x0 y0 z0 x1 y1
    z1`, in pixel edges, as stored or derived; `pixels`, counted, of objects that overlap each pixel for each; and the centroid
    `x y (z)`, in the same coordinates, in which the first pixel's centre is 0.5.

    With `spacing`, the pixel's extent along each axis of S, there are `area_mm2` (in a volume `volume_mm3`) and `x_mm y_mm (z_mm)`,
    or, where `geo` holds an affine `transform`, whose spacing is in metres, `area_m2`. The transform gives `map_x map_y`, the
    centroid in the coordinates of the map. Raises InvalidNoun for classes that are not in the set.

    >>> from intarsia.core import ClassSet, Segments
    >>> cells = Segments([[[1, 1, 1, 0], [0, 0, 2, 0]]], [1, 1], scores=[0.75, 1])
    >>> first, second = object_table(cells, ClassSet(("gap", "cell"), things=("cell",)), key="a", spacing=(0.5, 0.5))
    >>> [first[name] for name in ("image", "object", "class", "score", "pixels", "area_mm2", "x", "y", "x_mm")]
    ['a', 1, 'cell', 0.75, 3, 0.75, 1.5, 0.5, 0.75]
    """
    segments.check_classes(len(classes))
    dims, count = len(segments.size), len(segments)
    wanted = np.zeros(count + 2, np.bool_)  # by id, void last
    wanted[1:-1] = classes.is_thing[segments.classes] & ~segments.crowd
    pixels, sums = np.zeros(count, np.int64), np.zeros((dims, count))
    for layer in segments.ids:
        places = np.nonzero(wanted.take(layer, mode="wrap"))  # d of (pixels,)
        rows = layer[places].astype(np.intp) - 1
        pixels += np.bincount(rows, minlength=count)
        sums += [np.bincount(rows, place, count) for place in places]
    centres = (sums / np.maximum(pixels, 1) + 0.5).T[:, ::-1]  # (d, N) -> (N, d), x first
    known: dict[str, list[Any]] = {
        "score": [float(str(score)) for score in segments.scores],  # the shortest text of a float32
        **_named([f"{axis}{end}" for end in (0, 1) for axis in AXES[:dims]], segments.boxes),
        "pixels": pixels.tolist(),
        **_named(AXES[:dims], centres),
        **_measured(pixels, centres, spacing, geo),
    }
    names = [classes.names[index] for index in segments.classes]
    return [
        {"image": key, "object": row + 1, "class": names[row]} | {column: values[row] for column, values in known.items()}
        for row in np.flatnonzero(pixels).tolist()
    ]


def _named(names: Sequence[str], values: NDArray[Any]) -> dict[str, list[float]]:
    """The columns of (N, names), rounded to a thousandth, beyond which no pixel tells anything."""
    return {name: column.round(3).tolist() for name, column in zip(names, values.astype(np.float64).T, strict=True)}


def _measured(
    pixels: NDArray[np.int64], centres: NDArray[np.float64], spacing: Sequence[float] | None, geo: Mapping[str, Any] | None
) -> dict[str, list[float]]:
    """The columns that need the scale, or the place on Earth."""
    transform = (geo or {}).get("transform")
    columns: dict[str, list[float]] = {}
    if spacing is not None:
        unit = "m" if transform is not None else "mm"
        extent = f"volume_{unit}3" if len(spacing) == 3 else f"area_{unit}2"
        columns[extent] = (pixels * float(np.prod(spacing))).tolist()
        if transform is None:
            columns |= _named([f"{axis}_mm" for axis in AXES[: len(spacing)]], centres * np.array(spacing)[::-1])
    if transform is not None:
        a, b, c, d, e, f = transform
        x, y = centres.T[:2]
        columns |= {"map_x": (a * x + b * y + c).tolist(), "map_y": (d * x + e * y + f).tolist()}
    return columns
