"""Objects of real data: truth against itself is perfect, is drawn, and comes back from the formats it is written in."""

from __future__ import annotations

import numpy as np
import pytest

import intarsia
from intarsia.core.catalogue import find
from intarsia.draw.comparison import comparison
from intarsia.draw.overlay import overlay

pytestmark = pytest.mark.data


def scored(name, data, guess=lambda segments: segments):
    metric = find("metrics", name)(data.classes)
    for sample in data:
        metric.update(sample.segments, guess(sample.segments), sample.key)
    return metric.compute(0)


def test_coco_panoptic_pictures_are_read_scored_drawn_and_written_back(data_dir, tmp_path):
    data = intarsia.open_dataset(data_dir / "coco_panoptic")
    assert [len(sample.segments) for sample in data] == [18, 32]
    scores = scored("panoptic", data)
    assert (scores["pq"], scores["pq_things"], scores["pq_stuff"]) == (1, 1, 1)
    assert scored("boundary_panoptic", data)["boundary_pq"] == 1
    lost = scored("panoptic", data, lambda segments: segments.select(np.arange(len(segments)) != 0))
    assert 0.8 < lost["pq"] < 1
    for sample in data:
        picture = overlay(sample.image, sample.segments, data.classes, boxes=True, legend=True, counts=True)
        assert picture.shape[1] == sample.image.shape[1]
        assert comparison(sample.image, sample.segments, sample.segments, data.classes, objects=True).ndim == 3
    back = intarsia.convert(data, tmp_path / "again", "coco_panoptic")
    assert [sample.segments for sample in back] == [sample.segments for sample in data]
    assert scored("panoptic", back)["pq"] == 1


@pytest.mark.parametrize(("folder", "objects"), [("pennfudan", 211), ("dsb2018_nuclei", 1487), ("coco_instances", 334)])
def test_real_objects_are_found_by_themselves(data_dir, folder, objects):
    data = intarsia.open_dataset(data_dir / folder)
    assert sum(len(sample.segments) for sample in data) == objects
    scores = scored("instance", data)
    assert (scores["mask_ap"], scores["box_ap"], scores["mask_ar"]) == pytest.approx((1, 1, 1))
    counts = scored("counting", data)
    assert (counts["mae"], counts["relative_error"]) == (0, 0)
