"""The table of objects, against what can be counted by hand and one mask at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from intarsia.core import ClassSet, Segments
from intarsia.core.errors import InvalidNoun
from intarsia.ops.object_table import object_table

STREET = ClassSet(("road", "car", "person"), things=("car", "person"), nothing=True)


def test_a_table_one_can_count():
    """A bar of 4 x 1 pixels and a square of 2 x 2, on a road, with a crowd and some void."""
    ids = np.ones((6, 8), int)
    ids[0] = -1
    ids[1, 2:6] = 2
    ids[3:5, 0:2] = 3
    ids[5, 7] = 4
    rows = object_table(Segments(ids[None], [0, 1, 2, 1], scores=[1, 0.9, 1, 1], crowd=[0, 0, 0, 1]), STREET, key="street")
    table = [[row[name] for name in ("object", "class", "score", "x0", "y0", "x1", "y1", "pixels", "x", "y")] for row in rows]
    assert table == [[2, "car", 0.9, 2, 1, 6, 2, 4, 4.0, 1.5], [3, "person", 1.0, 0, 3, 2, 5, 4, 1.0, 4.0]]
    assert {row["image"] for row in rows} == {"street"}


@given(hnp.arrays(np.int8, (3, 5, 7), elements=st.integers(0, 5)), st.booleans())
def test_layers_add_up_to_what_each_mask_holds(ids, volume):
    """Each id in a layer of its own, so that objects overlap."""
    layers = np.stack([np.where(np.isin(ids, (1 + layer, 4 + layer)), ids, 0) for layer in range(3)])  # (L, D, H, W)
    layers = layers if volume else layers[:, 0]
    segments = Segments(layers, [1, 2, 0, 1, 2])
    rows = object_table(segments, STREET)
    masks = segments.masks
    assert [row["object"] for row in rows] == [row + 1 for row in (0, 1, 3, 4) if masks[row].any()]
    for row in rows:
        places = np.argwhere(masks[row["object"] - 1])
        centre = places.mean(axis=0)[::-1] + 0.5
        axes = "xyz"[: len(centre)]
        assert row["pixels"] == len(places)
        assert np.allclose([row[axis] for axis in axes], centre, atol=6e-4)
        assert [row[f"{axis}0"] for axis in axes] == places.min(axis=0)[::-1].tolist()
        assert [row[f"{axis}1"] for axis in axes] == (places.max(axis=0) + 1)[::-1].tolist()


def test_spacing_gives_millimetres():
    """Pixels 2 mm high and 0.5 mm wide; slices 3 mm apart."""
    [flat] = object_table(Segments([[[0, 1], [0, 1]]], [1]), STREET, spacing=(2.0, 0.5))
    assert (flat["area_mm2"], flat["x_mm"], flat["y_mm"]) == (2.0, 0.75, 2.0)
    [solid] = object_table(Segments([[[[0, 1], [0, 1]], [[0, 1], [0, 1]]]], [1]), STREET, spacing=(3.0, 2.0, 0.5))
    assert (solid["volume_mm3"], solid["x_mm"], solid["y_mm"], solid["z_mm"]) == (12.0, 0.75, 2.0, 3.0)
    assert "area_mm2" not in solid


def test_a_geotransform_gives_square_metres_and_the_place():
    """Half-metre pixels whose corner is at 500 000 E, 4 000 000 N; rows run south."""
    geo = {"transform": (0.5, 0.0, 500_000.0, 0.0, -0.5, 4_000_000.0), "crs": "EPSG:32616"}
    [house] = object_table(Segments([[[0, 0, 1, 1], [0, 0, 1, 1]]], [1]), STREET, spacing=(0.5, 0.5), geo=geo)
    assert (house["area_m2"], house["map_x"], house["map_y"]) == (1.0, 500_001.5, 3_999_999.5)
    assert not {"area_mm2", "x_mm"} & house.keys()
    [degrees] = object_table(Segments([[[1]]], [1]), STREET, geo=geo)  # no spacing where the map is not in metres
    assert degrees["map_x"] == 500_000.25
    assert "area_m2" not in degrees


def test_stored_boxes_are_told_and_pixels_counted():
    segments = Segments([[[1, 0]]], [1], boxes=[[0.25, 0, 1.5, 1]], areas=[7])
    [row] = object_table(segments, STREET)
    assert [row[name] for name in ("x0", "x1", "pixels")] == [0.25, 1.5, 1]


@pytest.mark.parametrize(
    "segments", [Segments.empty((3, 4)), Segments(-np.ones((1, 3, 4), int), [1]), Segments(np.ones((1, 2, 2), int), [0])]
)
def test_no_object_is_no_row(segments):
    assert object_table(segments, STREET, spacing=(1, 1)) == []


def test_a_class_beyond_the_set_is_refused():
    with pytest.raises(InvalidNoun, match="Segments classes: expected indices 0..2, received 3"):
        object_table(Segments([[[1]]], [3]), STREET)


@pytest.mark.data
def test_buildings_of_a_geotiff_have_an_area(data_dir):
    from intarsia.data.open import open_dataset

    sample = open_dataset(data_dir / "geotiff", format="geotiff")[0]
    classes = sample.classes
    things = ClassSet(classes.names, things=classes.names)
    for row in object_table(sample.segments, things, spacing=sample.spacing, geo=sample.geo):
        assert -115.26 < row["map_x"] < -115.23
        assert 36.18 < row["map_y"] < 36.21
