"""Copy-paste, checked pixel by pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from intarsia.core import ClassSet, Pixels, Sample, Segments
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.engine.pictures import Examples
from intarsia.transforms import Compose, training
from intarsia.transforms.copy_paste import CopyPaste

STREET = ClassSet(("road", "car", "person"), things=("car", "person"), nothing=True)
SIZE = (8, 10)


def still(sample, rng, donor=None):
    """A donor as it is."""
    return sample


def target():
    """Road below, a car of two pixels on it, something that overlaps it on a second layer, void in a corner; grey 10."""
    ids = np.zeros((2, *SIZE), np.int8)
    ids[0, 4:] = 1
    ids[0, 5, 2:4] = 2
    ids[0, 0, 0] = -1
    ids[1, 5, 3:6] = 3
    segments = Segments(ids, [0, 1, 2], scores=[1, 0.5, 1], crowd=[False, False, True])
    return Sample(np.full((*SIZE, 3), 10, np.uint8), segments, key="target", classes=STREET)


def giver():
    """A car, a person and, over both, another car; a crowd, road, void; each row in a grey of its own."""
    ids = np.zeros((2, *SIZE), np.int8)
    ids[0, 5, 0:3], ids[0, 0:2, 0:2], ids[0, 7], ids[0, 2, 8:] = 1, 2, 4, 5
    ids[0, 3] = -1
    ids[1, 5, 2:4] = 3
    segments = Segments(ids, [1, 2, 1, 0, 2], crowd=[False, False, False, False, True])
    image = np.full((*SIZE, 3), 200, np.uint8)
    image[ids[0] == 1], image[ids[0] == 2], image[ids[1] == 3] = 50, 60, 70
    return Sample(image, segments, key="giver", classes=STREET)


def pasted(seed=0, sample=None, other=None, **options):
    options = {"probability": 1.0, "prepare": still} | options
    return CopyPaste(**options)(sample or target(), np.random.default_rng(seed), lambda: other or giver())


def whole(**options):
    """The first seed by which all three objects are pasted."""
    return next(moved for seed in range(99) if len((moved := pasted(seed, **options)).segments) == 6)


def test_objects_lie_on_the_picture_in_all_layers():
    moved = whole()
    ids = moved.segments.ids
    assert moved.segments.classes.tolist() == [0, 1, 2, 1, 2, 1]
    assert moved.segments.scores.tolist() == [1, 0.5, 1, 1, 1, 1]
    assert moved.segments.crowd.tolist() == [False, False, True, False, False, False]
    assert ids[0, 5].tolist() == [4, 4, 6, 6, 1, 1, 1, 1, 1, 1]  # the later one is over the earlier
    assert ids[1, 5].tolist() == [0, 0, 0, 0, 3, 3, 0, 0, 0, 0]  # what lay under it has lost its pixels
    assert ids[0, 0].tolist() == [5, 5, 0, 0, 0, 0, 0, 0, 0, 0]  # void is covered
    assert (moved.segments.void == 0).all()  # and none is pasted
    changed = moved.image != target().image
    assert np.array_equal(changed.all(axis=-1), ids[0] > 3)
    for row, grey in ((4, 50), (5, 60), (6, 70)):
        assert (moved.image[ids[0] == row] == grey).all()
    assert not moved.segments.mask(1).any()  # the row stays, without pixels


def test_neither_sample_nor_donor_is_changed():
    sample, other = target(), giver()
    for one in (sample, other):
        one.image.setflags(write=False)
        one.segments.ids.setflags(write=False)
    assert pasted(sample=sample, other=other).image is not sample.image


def test_each_number_of_objects_is_drawn_and_each_object():
    seen = [pasted(seed) for seed in range(60)]
    counts = np.bincount([len(moved.segments) - 3 for moved in seen], minlength=4)
    assert counts[0] == 0
    assert (counts[1:] > 8).all()
    alone = [moved for moved in seen if len(moved.segments) == 4]
    assert {(moved.image[5, 0, 0], moved.image[0, 0, 0], moved.image[5, 3, 0]) for moved in alone} == {
        (50, 10, 10),
        (10, 60, 10),
        (10, 10, 70),
    }


def test_probability_and_generator():
    moved = [pasted(seed, probability=0.3) for seed in range(200)]
    assert 35 < sum(len(one.segments) > 3 for one in moved) < 85
    assert pasted(probability=0.0).image is not None
    assert np.array_equal(pasted(7).image, pasted(7).image)


def test_only_the_things_asked_for_are_pasted():
    people = {tuple(pasted(seed, things=(2,)).segments.classes[3:].tolist()) for seed in range(20)}
    assert people == {(2,)}
    roads = pasted(things=(0,)).segments
    assert roads.classes[3:].tolist() == [0]
    unnamed = {len(pasted(seed, other=replace(giver(), classes=None)).segments) for seed in range(60)}
    assert max(unnamed) == 7  # the road too, where nothing says that it is stuff
    assert len(pasted(things=(9,)).segments) == 3


def test_what_is_not_valid_is_not_pasted_and_what_is_pasted_is_valid():
    valid = np.ones(SIZE, bool)
    valid[5, 0] = False
    here = np.zeros(SIZE, bool)
    moved = whole(other=replace(giver(), valid=valid), sample=replace(target(), valid=here))
    assert moved.segments.ids[0, 5, :3].tolist() == [1, 4, 6]
    assert np.array_equal(moved.valid, moved.segments.ids[0] > 3)


@pytest.mark.parametrize("size", [(5, 7), (31, 17), (8, 10)])
def test_a_donor_of_another_size_is_cut_to_the_samples(size):
    ids = np.ones((1, *size), np.int8)
    other = Sample(np.full((*size, 3), 99, np.uint8), Segments(ids, [1]), classes=STREET)
    for seed in range(10):
        moved = CopyPaste(1.0)(target(), np.random.default_rng(seed), lambda: other)
        assert moved.segments.size == SIZE
        assert ((moved.image == 99).all(axis=-1) == (moved.segments.ids[0] == 4)).all()
        assert (moved.segments.ids[0] == 4).any()


def test_values_are_brought_to_the_range_of_the_sample():
    """A cell at the middle of its own picture's range is at the middle of the other's, and beyond its end it is clipped."""
    ids = np.int8([[[1, 1, 0]]])
    cell = Sample(np.uint16([[[1500], [60000], [0]]]), Segments(ids, [0]), stats=np.float32([[1000, 2000]]))
    dark = Sample(np.uint16([[[5], [5], [5]]]), Segments(ids, [0]), stats=np.float32([[0, 100]]))
    moved = CopyPaste(1.0, prepare=still)(dark, np.random.default_rng(0), lambda: cell)
    assert moved.image.ravel().tolist() == [50, 5900, 5]
    bright = replace(dark, stats=np.float32([[10, 60010]]))
    moved = CopyPaste(1.0, prepare=still)(bright, np.random.default_rng(0), lambda: cell)
    assert moved.image.ravel().tolist() == [30010, 65535, 5]
    plain = CopyPaste(1.0, prepare=still)(replace(dark, stats=None), np.random.default_rng(0), lambda: replace(cell, stats=None))
    assert plain.image.ravel().tolist() == [1500, 60000, 5]


@pytest.mark.parametrize(
    ("other", "received"),
    [
        (Sample(np.zeros((8, 10, 1), np.uint8), giver().segments), r"uint8 \(8, 10, 1\)"),
        (Sample(np.zeros((8, 10, 3), np.uint16), giver().segments), r"uint16 \(8, 10, 3\)"),
        (Sample(np.zeros((2, 8, 10, 3), np.uint8)), r"uint8 \(2, 8, 10, 3\)"),
        (Sample(np.zeros((9, 10, 3), np.uint8)), r"uint8 \(9, 10, 3\)"),
    ],
)
def test_a_donor_of_another_kind_is_refused(other, received):
    with pytest.raises(InvalidNoun, match=r"CopyPaste donor '': expected an image of the sample's kind, .* received " + received):
        pasted(other=other)


def test_other_refusals():
    with pytest.raises(OptionError, match="CopyPaste donor: expected a function that gives another sample. The loader passes it"):
        CopyPaste(1.0)(target(), np.random.default_rng(0))
    with pytest.raises(OptionError, match="CopyPaste things: expected class indices. None of sky, road is a thing"):
        pasted(other=replace(giver(), classes=ClassSet(("sky", "road"))))
    with pytest.raises(OptionError, match="CopyPaste probability: expected a number from 0 to 1"):
        CopyPaste(1.5)
    with pytest.raises(OptionError, match="CopyPaste things: expected class indices, at least one"):
        CopyPaste(things=())


def test_nothing_to_paste_or_no_truth_leaves_the_sample():
    sample = target()
    assert pasted(sample=sample, other=replace(giver(), segments=Segments.empty(SIZE))) is sample
    assert pasted(sample=sample, other=replace(giver(), segments=None)) is sample
    bare = replace(sample, segments=None)
    assert pasted(sample=bare) is bare


def test_a_volume_takes_objects_of_a_volume():
    ids = np.zeros((1, 2, 3, 4), np.int8)
    ids[0, 1, 1] = 1
    other = Sample(np.full((2, 3, 4, 1), 9, np.int16), Segments(ids, [0]))
    moved = pasted(sample=Sample(np.zeros((2, 3, 4, 1), np.int16), Segments.empty((2, 3, 4))), other=other)
    assert np.array_equal(moved.image[..., 0] == 9, moved.segments.ids[0] == 1)
    assert np.array_equal(moved.segments.ids, ids)


def test_in_training_the_donor_is_moved_like_the_sample_and_recoloured_with_it():
    steps = training((6, 8), copy_paste=1.0, mosaic=0.5, rotation=5.0).transforms
    assert [type(step).__name__ for step in steps] == [
        "ScaleAndCrop", "Flip", "Rotation", "Mosaic", "CopyPaste", "Brightness", "Contrast", "Saturation",
    ]  # fmt: skip
    for step in steps[3:5]:
        assert step.prepare == Compose(steps[:3])
    assert all(type(step).__name__ not in ("Mosaic", "CopyPaste") for step in training((6, 8)).transforms)


def test_the_loaders_samples_paste_from_each_other_and_depend_on_the_ticket_alone():
    data = [replace(target(), key="a"), replace(giver(), key="b")]
    examples = Examples(data, STREET, Pixels(), training((6, 8), copy_paste=1.0, colour=0.0), "things", seed=3)
    seen = [examples[epoch, 0, 0] for epoch in range(20)]
    assert any(len(sample.segments) > 2 for sample in seen)
    again = [examples[epoch, 0, 0] for epoch in range(20)]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(seen, again, strict=True))


@pytest.mark.data
@pytest.mark.parametrize("name", ["dsb2018_nuclei", "pennfudan"])
def test_on_real_pictures_more_objects_are_seen(data_dir, name):
    from intarsia.data.open import open_dataset

    data = open_dataset(data_dir / name)[:6]
    plain, pasting = (training((128, 128), base=(128, 128), scale=(1.0, 1.0), flip=1.0, copy_paste=share) for share in (0.0, 1.0))
    counts = []
    for transform in (plain, pasting):
        samples = []
        for index in range(6):
            rng = np.random.default_rng(index)
            samples.append(transform(data[index], rng, lambda rng=rng: data[int(rng.integers(6))]))
        counts.append(sum(len(sample.segments.compact()) for sample in samples))
    assert counts[1] > 1.2 * counts[0]
