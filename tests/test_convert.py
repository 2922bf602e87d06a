"""Conversion between formats: what fits goes over unchanged, what does not is told beforehand, or left out where that was asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from _trees import picture, sample
from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.catalogue import find
from intarsia.core.errors import CannotHold, OptionError
from intarsia.data.convert import LOSABLE, convert
from intarsia.data.dataset import Dataset
from intarsia.data.open import open_dataset

ROADS = ClassSet(("sky", "road", "Car"), things=("Car",), void=("Void",))


def roads(*, void: bool = True) -> Dataset:
    samples = [sample(seed, void=void) for seed in range(3)]
    return Dataset.from_samples(samples, ROADS, splits={"s0": "train", "s1": "train", "s2": "val"})


def test_what_fits_goes_there_and_back(tmp_path):
    convert(roads(), tmp_path / "coco", "coco_panoptic")
    convert(open_dataset(tmp_path / "coco"), tmp_path / "camvid", "camvid")
    back = open_dataset(tmp_path / "camvid")
    assert back.classes == ROADS
    for key in roads().keys:
        assert back[back.keys.index(key)].segments == roads()[roads().keys.index(key)].segments


def test_what_does_not_fit_is_told_with_numbers(tmp_path):
    with pytest.raises(CannotHold) as caught:
        convert(roads(), tmp_path / "yolo", "yolo")
    text = str(caught.value)
    assert "yolo cannot hold memory: expected what it has room for" in text
    assert "void where no void pixels has a place in 3 images, s0 first" in text
    assert "classes" in text
    assert "lose=void classes" in text
    assert not (tmp_path / "yolo").exists()


def test_what_is_named_is_left_out(tmp_path):
    convert(roads(), tmp_path / "yolo", "yolo", lose=("classes", "void"))
    back = open_dataset(tmp_path / "yolo")
    assert back.classes == ClassSet(ROADS.names, things=ROADS.names, nothing=True)
    for record in back.records:
        want = roads()[roads().keys.index(record.key)].segments.semantic(3)
        np.testing.assert_array_equal(back.reader.segments(record).semantic(3), np.where(want < 0, 3, want))


def test_only_what_does_not_fit_is_lost(tmp_path):
    convert(roads(), tmp_path / "out", "camvid", lose=tuple(LOSABLE))
    back = open_dataset(tmp_path / "out")
    assert back.classes == ROADS
    assert back[0].segments == roads()[0].segments


def test_objects_become_classes_and_layers_one(tmp_path):
    ids = np.zeros((2, 12, 16), np.int8)
    ids[0, 1:6, 1:6], ids[0, 7:9, 2:9], ids[1, 4:8, 4:8] = 1, 2, 3
    crowd = Segments(ids, [0, 1, 0], scores=[0.9, 0.8, 0.3], crowd=[False, True, False])
    data = Dataset.from_samples([Sample(picture(0), crowd, key="a")], ClassSet(("cat", "dog"), things=("cat", "dog"), nothing=True))
    convert(data, tmp_path / "masks", "image_folder", lose=("overlap", "instances", "crowd", "scores", "order"))
    got = open_dataset(tmp_path / "masks")[0].segments
    semantic = np.full((12, 16), 2)
    semantic[1:6, 1:6] = 0
    semantic[4:8, 4:8] = 0
    semantic[7:9, 2:9] = np.where(semantic[7:9, 2:9] == 0, 0, -1)
    np.testing.assert_array_equal(got.semantic(2), semantic)


def test_a_single_class_takes_the_name_of_the_format(tmp_path):
    cells = ClassSet(("cell",), things=("cell",), nothing=True)
    segments = Segments([[[0, 1, 1], [2, 2, 0]]], [0, 0])
    data = Dataset.from_samples([Sample(picture(0, (2, 3)), segments, key="a")], cells)
    with pytest.raises(CannotHold, match="lose=classes"):
        convert(data, tmp_path / "out", "object_masks")
    convert(data, tmp_path / "out", "object_masks", lose=("classes",))
    assert open_dataset(tmp_path / "out", objects="cell")[0].segments == segments


def test_unknown_names(tmp_path):
    with pytest.raises(OptionError, match="Did you mean 'void'"):
        convert(roads(), tmp_path / "out", "yolo", lose=("voids",))
    with pytest.raises(OptionError, match="coco_instances"):
        convert(roads(), tmp_path / "out", "coco_instance")


def test_between_any_two_formats_with_what_does_not_fit_left_out(tmp_path):
    """Every pair: it is written, or the reason is one that nothing can be left out for."""
    from test_formats_contract import CLASSES, FORMATS, KINDS, dataset

    def first(name):
        format = find("data.formats", name)
        for kind in ("objects", "objects and stuff", "a class for each pixel", "objects in volumes", "volumes"):
            for classes in CLASSES:
                data = dataset(KINDS[kind](len(classes)), classes, format.holds.splits)
                try:
                    convert(data, tmp_path / name, name)
                except CannotHold:
                    continue
                return open_dataset(tmp_path / name)
        raise AssertionError(name)

    done = 0
    for source in FORMATS:
        data = first(source)
        for target in FORMATS:
            out = tmp_path / f"{source}-{target}"
            refused = attempted(data, out, target)
            if refused:
                assert any(text in refused for text in HOPELESS), f"{source} to {target}: {refused}"
                continue
            back = open_dataset(out, format=target)
            assert len(back) == len(data)
            done += 1
    assert done > 100


HOPELESS = ("volumes (D, H, W, C)", "images (H, W, C)", "place on Earth", "classes", "one class", "a key", "images of")
"""What nothing can be left out for."""


def attempted(data: Dataset, out: Path, target: str) -> str:
    """Why it was refused, or nothing."""
    try:
        convert(data, out, target, lose=tuple(LOSABLE))
    except CannotHold as error:
        return str(error)
    return ""
