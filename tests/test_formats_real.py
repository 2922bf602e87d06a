"""The formats on real files, against what their own tools say of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from intarsia.data.images import read_image, read_labels
from intarsia.data.open import open_dataset

pytestmark = pytest.mark.data


def test_coco_objects_are_those_of_pycocotools(data_dir):
    folder = data_dir / "coco_instances"
    data = open_dataset(folder)
    assert (data.format, len(data), len(data.classes)) == ("coco_instances", 32, 80)
    assert data.classes.nothing
    assert set(data.classes.things) == set(data.classes.names)
    theirs = COCO(folder / "instances.json")
    names = {category["id"]: category["name"] for category in theirs.dataset["categories"]}
    seen = 0
    for image in theirs.dataset["images"]:
        segments = data.segments(data.keys.index(image["file_name"].removesuffix(".jpg")))
        objects = theirs.loadAnns(theirs.getAnnIds(imgIds=image["id"]))
        assert [data.classes.names[index] for index in segments.classes] == [names[one["category_id"]] for one in objects]
        np.testing.assert_allclose(segments.areas, [one["area"] for one in objects])
        corners = [(x, y, x + w, y + h) for x, y, w, h in (one["bbox"] for one in objects)]
        np.testing.assert_allclose(segments.boxes, np.reshape(corners, (-1, 4)), rtol=1e-6)
        for row, one in enumerate(objects):
            np.testing.assert_array_equal(segments.mask(row), theirs.annToMask(one).astype(bool))
            seen += 1
    assert seen == 334
    data.check()


def test_coco_panoptic_areas_and_numbers_are_those_of_the_files(data_dir):
    folder = data_dir / "coco_panoptic"
    data = open_dataset(folder)
    assert (data.format, len(data.classes), len(data.classes.things)) == ("coco_panoptic", 133, 80)
    told = json.loads((folder / "panoptic.json").read_text())
    names = {category["id"]: category["name"] for category in told["categories"]}
    for entry in told["annotations"]:
        segments = data.segments(data.keys.index(entry["file_name"].removesuffix(".png")))
        assert [data.classes.names[index] for index in segments.classes] == [
            names[one["category_id"]] for one in entry["segments_info"]
        ]
        assert segments.with_ids(segments.ids).areas.tolist() == [one["area"] for one in entry["segments_info"]]
        colours = read_image(folder / "panoptic" / entry["file_name"]).astype(int)
        numbers = colours[..., 0] + 256 * colours[..., 1] + 65536 * colours[..., 2]
        np.testing.assert_array_equal(segments.void, numbers == 0)
        for row, one in enumerate(entry["segments_info"]):
            np.testing.assert_array_equal(segments.mask(row), numbers == one["id"])


def test_voc_classes_and_objects(data_dir):
    folder = data_dir / "voc_subset"
    data = open_dataset(folder)
    assert (data.format, len(data), len(data.classes), data.splits) == ("voc", 6, 21, ("train", "val"))
    for record in data.records:
        segments = data.segments(data.keys.index(record.key))
        ids = read_labels(folder / "SegmentationClass" / f"{record.key}.png").astype(int)
        np.testing.assert_array_equal(segments.semantic(21), np.where(ids == 255, -1, ids))
        objects = folder / "SegmentationObject" / f"{record.key}.png"
        if objects.exists():
            numbers = read_labels(objects)
            things = [row for row, index in enumerate(segments.classes) if index > 0]
            wanted = sorted(set(np.unique(numbers)) - {0, 255})
            assert len(things) == len(wanted) > 1
            for row, number in zip(things, wanted, strict=True):
                np.testing.assert_array_equal(segments.mask(row), numbers == number)
        else:
            assert len(segments) == len(set(segments.classes.tolist()))
    assert len(open_dataset(folder, objects=False).split("train").segments(0)) <= 3


def test_pets_by_what_they_are(data_dir):
    folder = data_dir / "oxford_pets"
    data = open_dataset(folder)
    assert (data.format, len(data), data.classes.names) == ("oxford_pet", 18, ("background", "pet"))
    trimap = read_labels(folder / "trimaps" / "Abyssinian_1.png")
    truth = data.segments(data.keys.index("Abyssinian_1")).semantic(2)
    np.testing.assert_array_equal(truth, np.array([9, 1, 0, -1])[trimap])
    assert open_dataset(folder, labels="species").classes.names == ("background", "cat", "dog")
    breeds = open_dataset(folder, labels="breed")
    assert breeds.classes.names[:3] == ("background", "Abyssinian", "Bengal")
    dog = breeds.segments(breeds.keys.index("great_pyrenees_174"))
    assert [breeds.classes.names[index] for index in dog.classes] == ["background", "great_pyrenees"]


def test_a_raster_and_its_polygons_agree(data_dir, tmp_path):
    by_raster = open_dataset(data_dir / "geotiff")
    assert (by_raster.format, by_raster.keys) == ("geotiff", ["spacenet2_vegas_img2144"])
    sample = by_raster[0]
    assert sample.image.shape == (650, 500, 3)
    assert "WGS 84" in sample.geo["crs"]
    place = tmp_path / "vegas"
    place.mkdir()
    for name in ("rgb.tif", "labels.geojson"):
        (place / f"vegas_{name}").symlink_to(data_dir / "geotiff" / f"spacenet2_vegas_img2144_{name}")
    by_polygon = open_dataset(place)
    assert by_polygon.classes.names == ("1", "2", "3")
    drawn, burnt = by_polygon[0].segments, sample.segments.semantic(4)
    assert 50 < len(drawn) <= 56
    inside = drawn.semantic(3) < 3
    assert (inside & (burnt > 0)).sum() / (inside | (burnt > 0)).sum() > 0.96
    tiles = open_dataset(data_dir / "geotiff", tile=256)
    assert [tile.image.shape[:2] for tile in tiles] == [(256, 256), (256, 244), (256, 256), (256, 244), (138, 256), (138, 244)]
    np.testing.assert_array_equal(tiles[3].segments.semantic(4), burnt[256:512, 256:])
    np.testing.assert_array_equal(tiles[3].image, sample.image[256:512, 256:])
    a, b, c, d, e, f = sample.geo["transform"]
    assert tiles[3].geo["transform"] == pytest.approx((a, b, c + 256 * a, d, e, f + 256 * e))


def test_a_volume_and_its_slices(data_dir):
    data = open_dataset(data_dir / "nifti_brain_tumour")
    sample = data[0]
    assert (data.format, data.keys, sample.image.shape, sample.image.dtype) == ("nifti", ["brain1"], (25, 256, 256, 1), np.int16)
    assert sample.spacing == pytest.approx((6.5, 0.78125, 0.78125))
    assert data.classes.names == ("background", "label 1")
    assert sample.segments.areas.tolist() == [25 * 256 * 256 - 4137, 4137]
    slices = open_dataset(data_dir / "nifti_brain_tumour", slices=True)
    assert len(slices) == 25
    np.testing.assert_array_equal(np.stack([one.image for one in slices]), sample.image)
    np.testing.assert_array_equal(np.stack([one.segments.semantic(2) for one in slices]), sample.segments.semantic(2))
    assert slices[3].spacing == pytest.approx((0.78125, 0.78125))


@pytest.mark.parametrize(
    ("name", "format", "images"),
    [
        ("camvid", "camvid", 701),
        ("dsb2018_nuclei", "mask_folder", 44),
        ("em_membrane", "mask_folder", 14),
        ("magnetic_tile", "mask_folder", 82),
    ],
)
def test_what_was_read_before_is_read_still(data_dir, name, format, images):
    options = {"dsb2018_nuclei": {"objects": "nucleus"}, "em_membrane": {"classes": {"membrane": 0, "cell": 255}}}.get(name, {})
    data = open_dataset(data_dir / name, **options)
    assert (data.format, len(data)) == (format, images)


@pytest.mark.parametrize("target", ["coco_instances", "yolo"])
def test_real_objects_go_from_format_to_format_unchanged(data_dir, tmp_path, target):
    from dataclasses import replace

    from intarsia.core import ClassSet
    from intarsia.core.catalogue import find

    data = open_dataset(data_dir / "coco_instances")
    plain = ClassSet(data.classes.names, things=data.classes.names, nothing=True)
    some = data.subset([replace(record, split="train") for record in data.records[:12]])
    some.classes = plain
    find("data.formats", target).write(some, tmp_path / "out")
    back = open_dataset(tmp_path / "out")
    assert back.format == target
    for key in some.keys:
        assert back[back.keys.index(key)].segments == some[some.keys.index(key)].segments
