"""The contract that every file in data/formats meets; it finds them by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from _trees import picture, sample
from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.catalogue import find, members
from intarsia.core.errors import CannotHold, DatasetNotFound
from intarsia.data.dataset import Dataset
from intarsia.data.formats.cityscapes import CODINGS
from intarsia.data.holds import inner_key
from intarsia.data.open import open_dataset

FORMATS = members("data.formats")
SIZE = (12, 16)
CLASSES = [
    ClassSet(("sky", "road", "Car"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)), things=("Car",), void=("Void",)),
    ClassSet(("cell",), things=("cell",), nothing=True),
    ClassSet(("object",), things=("object",), nothing=True),
    ClassSet(("cat", "dog"), things=("cat", "dog"), nothing=True),
    ClassSet(("cat", "dog"), things=("cat", "dog"), void=("__ignore__",), nothing=True),
    ClassSet(("background", "pet"), things=("pet",), void=("border",)),
    ClassSet(("wall", "sky", "car"), things=("car",), void=("other",)),
    CODINGS["train"].classes,
]
"""Between them, some that each format can hold."""
PLACE = {"transform": (0.5, 0.0, 1000.0, 0.0, -0.5, 2000.0), "crs": "EPSG:32616", "nodata": None}
"""On Earth, for the formats that need one."""


def dataset(samples: list[Sample], classes: ClassSet, format: Any = None, splits: tuple[str, ...] | None = None) -> Dataset:
    """The samples in splits that the format has a place for, at a place on Earth where it can tell of one."""
    if format is not None:
        splits = splits or format.holds.splits
        samples = samples if "transform" in format.holds.grid else [replace(each, geo=None) for each in samples]
    named = [split for split in splits or ("train", "val", "test") if split] or [""]
    return Dataset.from_samples(samples, classes, splits={s.key: named[i % len(named)] for i, s in enumerate(samples)})


def blocks(count: int, *, void: bool = False, nothing: bool = False, volume: bool = False, **image: Any) -> list[Sample]:
    """Random classes, pixel by pixel, all of them there."""
    samples = []
    image = {"dtype": "uint16"} | image
    for seed in range(4):
        size = (3, *SIZE) if volume else SIZE
        labels = np.random.default_rng(seed).integers(0, count + nothing, size).astype(np.int16)
        labels.reshape(-1)[: count + nothing] = np.arange(count + nothing)
        if void and seed != 1:
            labels[..., :2, 5:9] = -1
        one = picture(seed, **image)
        pixels = np.stack([one, one + 1, one + 2]) if volume else one
        samples.append(Sample(pixels, Segments.from_semantic(labels, count), key=f"s{seed}", geo=PLACE))
    if void:
        only = replace(samples[0], segments=Segments(np.full((1, *samples[0].size), -1), []), key="all_void")
        samples.append(only)
    if nothing:
        samples.append(replace(samples[0], segments=Segments.empty(samples[0].size), key="empty"))
    return samples


def objects(
    count: int,
    *,
    stuff: bool = False,
    void: bool = False,
    overlap: bool = False,
    crowd: bool = False,
    scores: bool = False,
    volume: bool = False,
) -> list[Sample]:
    """Two objects of the last class, one with a hole and in two parts, over nothing or over the first class."""
    ids = np.zeros((2 if overlap else 1, *SIZE), np.int8)
    ids[0] = 1 if stuff else 0
    first = 2 if stuff else 1
    ids[0, 1:6, 1:6] = first
    ids[0, 3, 3] = 1 if stuff else 0  # a hole
    ids[0, 8, 2] = first  # another part
    ids[0, 6:10, 8:14] = first + 1
    if overlap:
        ids[1, 3:8, 4:10] = first + 2
    if void:
        ids[0, 10:] = -1
    classes = [*([0] if stuff else []), *[count - 1] * (3 if overlap else 2)]
    segments = Segments(
        ids,
        classes,
        crowd=[crowd and row == len(classes) - 1 for row in range(len(classes))],
        scores=[0.5 if scores and row == 0 else 1 for row in range(len(classes))],
    )
    if volume:
        segments = segments.with_ids(np.stack([ids, ids, ids * 0], axis=1))  # (L, H, W) -> (L, D, H, W)
    pictures = [picture(seed, channels=1, dtype="uint16") for seed in range(3)]
    images = [np.stack([one] * 3) if volume else one for one in pictures]
    samples = [Sample(image, segments, key=f"o{seed}", geo=PLACE) for seed, image in enumerate(images)]
    samples[2] = replace(samples[2], segments=Segments.empty(segments.size), key="none")
    return samples[:2] if stuff else samples


KINDS = {
    "a class for each pixel": lambda count: blocks(count),
    "void": lambda count: blocks(count, void=True),
    "nothing": lambda count: blocks(count, nothing=True),
    "volumes": lambda count: blocks(count, volume=True, channels=1),
    "volumes with void": lambda count: blocks(count, void=True, volume=True, channels=1),
    "volumes with nothing": lambda count: blocks(count, nothing=True, volume=True, channels=1),
    "volumes without truth": lambda count: [
        *blocks(count, volume=True, channels=1),
        replace(blocks(count, volume=True, channels=1)[0], segments=None, key="u"),
    ],
    "objects in volumes without truth": lambda count: [
        *objects(count, volume=True),
        replace(objects(count, volume=True)[0], segments=None, key="u"),
    ],
    "no truth": lambda count: [*blocks(count), Sample(picture(5), None, key="u", geo=PLACE)],
    "objects": lambda count: objects(count),
    "objects with void": lambda count: objects(count, void=True),
    "objects that overlap": lambda count: objects(count, overlap=True),
    "objects in volumes": lambda count: objects(count, volume=True),
    "objects that overlap in volumes": lambda count: objects(count, volume=True, overlap=True),
    "objects with scores": lambda count: objects(count, scores=True),
    "scores and stuff": lambda count: objects(count, stuff=True, scores=True),
    "a crowd": lambda count: objects(count, crowd=True),
    "objects and stuff": lambda count: objects(count, stuff=True, void=True),
    "a crowd and stuff": lambda count: objects(count, stuff=True, crowd=True),
}
PROOF = {
    "instances": ("objects", "objects and stuff", "objects in volumes"),
    "overlap": ("objects that overlap", "objects that overlap in volumes"),
    "crowd": ("a crowd", "a crowd and stuff"),
    "scores": ("objects with scores", "scores and stuff"),
    "void": ("void", "objects with void", "volumes with void"),
    "nothing": ("nothing", "objects", "volumes with nothing", "objects in volumes"),
    "volumes": ("volumes", "objects in volumes"),
    "images": ("a class for each pixel", "objects"),
    "unlabelled": ("no truth", "volumes without truth", "objects in volumes without truth"),
}
"""Of each thing that a format may say it holds, the kinds of data of which it must then hold one."""


def rows(segments: Segments) -> list[Any]:
    """The segments without their order."""
    each = zip(segments.classes.tolist(), segments.crowd.tolist(), segments.scores.tolist(), range(len(segments)), strict=True)
    return sorted((index, crowd, score, segments.mask(row).tobytes()) for index, crowd, score, row in each)


def check_same(back: Dataset, data: Dataset, *, ordered: bool) -> None:
    void = any(each.segments is not None and each.segments.void.any() for each in data)
    unnamed = data.classes.void == ("void",) and not void  # then any name will do
    assert (replace(back.classes, void=("void",)) if unnamed else back.classes) == data.classes
    assert sorted(back.keys) == sorted(data.keys)
    for record in back.records:
        place = data.keys.index(record.key)
        want, got = data[place], back[back.keys.index(record.key)]
        assert record.split == data.records[place].split
        assert got.image.dtype == want.image.dtype
        np.testing.assert_array_equal(got.image, want.image)
        if want.segments is None or got.segments is None or ordered:
            assert got.segments == want.segments
        else:
            assert rows(got.segments) == rows(want.segments)
            np.testing.assert_array_equal(got.segments.void, want.segments.void)


def held(name: str, kind: str, classes: ClassSet, folder: Any) -> bool:
    """Whether the format took the data, and gave it back the same; what it refuses leaves no trace."""
    format = find("data.formats", name)
    data = dataset(KINDS[kind](len(classes)), classes, format)
    try:
        format.write(data, folder / "out")
    except CannotHold:
        assert list(folder.iterdir()) == []
        return False
    back = open_dataset(folder / "out")
    assert back.format == name
    check_same(back, data, ordered=format.holds.ordered)
    assert open_dataset(folder / "out").fingerprint() == back.fingerprint()
    assert format.left_over(folder / "out", back.records) == []
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_read_again_or_refused(name, kind, tmp_path):
    for number, classes in enumerate(CLASSES):
        (tmp_path / str(number)).mkdir()
        held(name, kind, classes, tmp_path / str(number))


@pytest.mark.parametrize("thing", PROOF)
@pytest.mark.parametrize("name", FORMATS)
def test_what_it_says_that_it_holds_it_holds(name, thing, tmp_path):
    cases = [(tmp_path / f"{number}", kind, classes) for kind in PROOF[thing] for number, classes in enumerate(CLASSES)]
    took = any(held(name, kind, classes, fresh(folder / kind)) for folder, kind, classes in cases)
    assert took == getattr(find("data.formats", name).holds, thing)


def fresh(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_images_come_back_the_same(name, dtype, channels, tmp_path):
    format = find("data.formats", name)
    fits = dtype in format.holds.dtypes and (format.holds.channels is None or channels in format.holds.channels)
    took = False
    for number, classes in enumerate(CLASSES):
        samples = blocks(len(classes), volume=not format.holds.images, channels=channels, dtype=dtype)
        if classes.nothing and format.holds.images:
            samples = [replace(each, segments=objects(len(classes))[0].segments) for each in samples]
        data = dataset(samples, classes, format)
        try:
            format.write(data, tmp_path / f"{number}")
        except CannotHold:
            continue
        took = True
        back = open_dataset(tmp_path / f"{number}")
        check_same(back, data, ordered=format.holds.ordered)
        back.check()
        break  # the classes make no difference to images
    assert took == fits


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "classes",
    [
        ClassSet(("sky", "road", "car"), things=("car",)),
        ClassSet(("sky", "road", "Car")),
        ClassSet(("7 car", "8 road", "9")),
        ClassSet(("1 2 3 car", "lane 4 5 6", "a b")),
        ClassSet((" sky", "road,", ",car")),
        ClassSet(("sky", "a\nb", "\u2028")),
        ClassSet(("sky", "road", "car"), void=("mud",)),
        ClassSet(("sky", "road", "car"), void=("Void", "ignore")),
        ClassSet(("sky", "road", "car"), void=()),
        ClassSet(("void", "road", "car"), void=("Void",)),
        ClassSet(("sky", "road", "car"), nothing=True),
        ClassSet(("sky", "road", "car"), groups=(("sky", "road"), ("car",))),
        ClassSet(("sky", "road", "car"), ((0, 0, 0), (0, 0, 0), (255, 255, 255))),
    ],
)
def test_classes_come_back_the_same_or_are_refused(name, classes, tmp_path):
    try:
        find("data.formats", name).write(dataset([sample(0), sample(1)], classes), tmp_path / "out")
    except CannotHold:
        assert list(tmp_path.iterdir()) == []
        return
    back = open_dataset(tmp_path / "out")
    assert back.classes == classes
    assert back[back.keys.index("s0")].segments == sample(0).segments


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("classes", [254, 255, 300])
def test_many_classes_come_back_or_are_refused(name, classes, tmp_path):
    labels = np.arange(12 * 16).reshape(12, 16) * classes // 192
    labels[0, 1] = -1
    only = Sample(picture(0), Segments.from_semantic(labels.astype(np.int16), classes), key="wide")
    data = dataset([only], ClassSet(tuple(f"class{n}" for n in range(classes))))
    try:
        find("data.formats", name).write(data, tmp_path / "out")
    except CannotHold:
        assert list(tmp_path.iterdir()) == []
        return
    assert open_dataset(tmp_path / "out")[0].segments == only.segments


def one(**changes: Any) -> Sample:
    """A sample of one segment, the class 1, everywhere."""
    segments = Segments(np.ones((1, 12, 16), np.int8), [1], **changes)
    return Sample(picture(1, channels=1, dtype="uint16"), segments, key="x", geo=PLACE)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("fault", "given", "expected"),
    [
        ("instances", objects(3)[0], "one segment per class"),
        ("overlap", objects(3, overlap=True)[0], "segments that do not overlap"),
        ("crowd", one(crowd=[True]), "no crowd"),
        ("scores", one(scores=[0.5]), "no scores"),
        ("nothing", replace(one(), segments=Segments.empty((12, 16))), "each pixel labelled or void"),
        ("void", replace(blocks(3, void=True, channels=1)[0], key="x"), "no void pixels"),
        ("unlabelled", replace(one(), segments=None), "a truth for each image"),
        ("volumes", replace(blocks(3, volume=True, channels=1)[0], key="x"), "images (H, W, C)"),
        ("images", one(), "volumes (D, H, W, C)"),
        ("", replace(one(), segments=Segments(np.ones((1, 12, 16), np.int8), [1, 2])), "segments with pixels"),
        ("", replace(one(), key="../up"), "a key that stays within"),
    ],
)
def test_what_it_cannot_hold_is_refused_before_a_byte_is_written(name, fault, given, expected, tmp_path):
    format = find("data.formats", name)
    if fault and getattr(format.holds, fault):
        return
    first = blocks(3, volume=not format.holds.images, channels=1)[0]
    data = dataset([first, given], ClassSet(("sky", "road", "Car"), things=("Car",)), format)
    with pytest.raises(CannotHold) as caught:
        format.write(data, tmp_path / "out")
    assert expected in str(caught.value) or (not format.holds.images and "volumes (D, H, W, C)" in str(caught.value))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FORMATS)
def test_a_split_without_a_place_is_refused(name, tmp_path):
    format = find("data.formats", name)
    if format.holds.splits is not None:
        data = dataset(blocks(3, volume=not format.holds.images, channels=1), CLASSES[0], format, ("elsewhere",))
        with pytest.raises(CannotHold, match="a split among"):
            format.write(data, tmp_path / "out")


KEYS = [
    ("a/1", "2"), ("a/1", "b/1"), ("images/1", "2"), ("a/images/1", "2"), ("masks/1", "labels/2"), ("train/1", "val/2"),
    ("my cat_1", "2"), (".hidden", "2"), ("a/.b/1", "2"), ("a//1", "2"), ("./1", "2"), ("a.b", "a.c"), ("1_mask", "1"),
    ("train", "val"), ("images", "masks"), ("#1", "2"), (" 1", "2"), ("é ü", "2"), ("1,2", '3"4'), ("x_0000", "x_0001"),
    ("test_image", "2_labels"), ("Train/1", "2"), ("train/1", "1"),
]  # fmt: skip
"""Names that people give, two to a data set."""


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("name", FORMATS)
def test_keys_and_splits_come_back_or_are_refused(name, keys, tmp_path):
    """Whether no image has a split, or both have one, the same or two: what `Holds` says is what is refused."""
    format, took = find("data.formats", name), 0
    for number, splits in enumerate(
        (("", ""), ("train", "train"), ("train", "val"), ("test", "extra"), ("test", "val2"), ("", "val"))
    ):
        for classes, kind in (
            (each, kind) for each in CLASSES for kind in ("a class for each pixel", "objects", "volumes", "objects in volumes")
        ):
            samples = [replace(each, key=key) for key, each in zip(keys, KINDS[kind](len(classes)), strict=False)]
            data = dataset(samples, classes, format)
            data = data.subset(replace(record, split=split) for record, split in zip(data.records, splits, strict=True))
            out = tmp_path / str(number)
            misplaced = list(format.holds.misplaced(data.records))
            try:
                format.write(data, out)
            except CannotHold:
                assert not out.exists()
                if misplaced:
                    break
                continue
            assert not misplaced
            back = format.open(out)
            assert sorted((one.split, inner_key(one)) for one in back.records) == sorted(
                (one.split, inner_key(one)) for one in data.records
            )
            took += 1
            break
    assert took or keys[0] not in ("a.b", "1_mask")


@pytest.mark.parametrize("name", FORMATS)
def test_an_interrupted_write_leaves_nothing(name, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    format = find("data.formats", name)
    monkeypatch.setattr(Path, "replace", full)
    tried = 0
    for classes in CLASSES:
        for kind in ("a class for each pixel", "objects", "volumes", "objects in volumes"):
            try:
                format.write(dataset(KINDS[kind](len(classes)), classes, format), tmp_path / "out")
            except CannotHold:
                continue
            except OSError:
                tried += 1
            assert list(tmp_path.iterdir()) == []
    assert tried


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_with_files_is_not_written_over(name, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    format, refusals = find("data.formats", name), []
    for classes in CLASSES:
        for kind in ("a class for each pixel", "objects", "volumes", "objects in volumes"):
            with pytest.raises(CannotHold) as caught:
                format.write(dataset(KINDS[kind](len(classes)), classes, format), tmp_path)
            refusals.append(str(caught.value))
    assert any("expected a new or an empty folder" in text for text in refusals)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_folder_names_the_way_out(name, tmp_path):
    (tmp_path / "roads").mkdir()
    with pytest.raises(DatasetNotFound) as caught:
        open_dataset(tmp_path / "rods", format=name)
    text = str(caught.value)
    assert f"{tmp_path / 'rods'}: expected a folder with images, received no such folder" in text
    assert "Did you mean 'roads'?" in text
    assert "`intarsia demo` makes" in text


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_folder_says_what_was_looked_for(name, tmp_path):
    with pytest.raises(DatasetNotFound, match=r"received (neither|none of them)") as caught:
        open_dataset(tmp_path, format=name)
    assert name == "mask_folder" or find("data.formats", name).looks in str(caught.value)
    with pytest.raises(DatasetNotFound, match="received an empty folder"):
        open_dataset(tmp_path)
