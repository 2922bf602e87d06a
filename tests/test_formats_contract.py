"""The contract that every file in data/formats meets; it finds them by itself."""

from __future__ import annotations

import numpy as np
import pytest

from _trees import picture, sample
from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.catalogue import find, members
from intarsia.core.errors import CannotHold, DatasetNotFound
from intarsia.data.dataset import Dataset
from intarsia.data.open import open_dataset

FORMATS = members("data.formats")


def dataset(samples: list[Sample], classes: ClassSet) -> Dataset:
    splits = ("train", "val", "test")
    return Dataset.from_samples(samples, classes, splits={s.key: splits[i % 3] for i, s in enumerate(samples)})


def disc(key: str, *, overlap: bool = False, void: bool = False) -> Sample:
    ids = np.zeros((2 if overlap else 1, 12, 16), np.int8)
    ids[0, 1:4, 1:4], ids[0, 6:9, 8:12] = 2, 1
    if overlap:
        ids[1, 2:6, 2:6] = 3
    if void:
        ids[0, 10:] = -1
    return Sample(picture(1), Segments(ids, [0] * (3 if overlap else 2)), key=key)


def holds_images(name: str, *, dtype: str, channels: int) -> bool:
    """Whether the format says that it holds images like this."""
    says = find("data.formats", name).holds
    return dtype in says.dtypes and (says.channels is None or channels in says.channels)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_read_of_write_is_the_same(name, dtype, channels, tmp_path):
    format = find("data.formats", name)
    classes = ClassSet(("sky", "road", "Car"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)), things=("Car",), void=("Void",))
    nothing = format.holds.nothing
    samples = [sample(seed, void=seed != 1, nothing=nothing, dtype=dtype, channels=channels) for seed in range(4)]
    samples.append(Sample(picture(9, channels=channels, dtype=dtype), Segments(np.full((1, 12, 16), -1), []), key="all_void"))
    if nothing:
        samples.append(Sample(picture(8, channels=channels, dtype=dtype), Segments.empty((12, 16)), key="empty"))
    data = dataset(samples, classes)
    if not holds_images(name, dtype=dtype, channels=channels):
        with pytest.raises(CannotHold, match=f"{name} cannot hold 's0': expected images of"):
            format.write(data, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []
        return
    format.write(data, tmp_path / "out")
    back = open_dataset(tmp_path / "out")
    assert back.format == name
    assert back.classes == classes
    assert sorted(back.keys) == sorted(data.keys)
    for record in back.records:
        want, got = data[data.keys.index(record.key)], back[back.keys.index(record.key)]
        assert record.split == data.records[data.keys.index(record.key)].split
        assert got.image.dtype == want.image.dtype
        np.testing.assert_array_equal(got.image, want.image)
        assert got.segments == want.segments
    back.check()


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
def test_many_classes_take_wider_ids(name, classes, tmp_path):
    labels = np.arange(12 * 16).reshape(12, 16) * classes // 192
    labels[0, 1] = -1
    only = Sample(picture(0), Segments.from_semantic(labels.astype(np.int16), classes), key="wide")
    data = dataset([only], ClassSet(tuple(f"class{n}" for n in range(classes))))
    find("data.formats", name).write(data, tmp_path / "out")
    assert open_dataset(tmp_path / "out")[0].segments == only.segments


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("fault", "given", "expected"),
    [
        ("instances", disc("two"), "one segment per class|one class"),
        ("overlap", disc("over", overlap=True), "segments that do not overlap"),
        ("crowd", Sample(picture(1), Segments(np.ones((1, 12, 16), np.int8), [1], crowd=[True]), key="c"), "no crowd"),
        ("scores", Sample(picture(1), Segments(np.ones((1, 12, 16), np.int8), [1], scores=[0.5]), key="p"), "no scores"),
        ("nothing", Sample(picture(1), Segments.empty((12, 16)), key="n"), "each pixel labelled or void"),
        ("unlabelled", Sample(picture(1), None, key="u"), "a truth for each image"),
        ("", Sample(picture(1), Segments(np.ones((1, 12, 16), np.int8), [0, 1]), key="row"), "segments with pixels"),
        ("", Sample(picture(1), Segments(np.ones((1, 12, 16), np.int8), [0]), key="../up"), "a key that stays within"),
    ],
)
def test_what_it_cannot_hold_is_refused_before_a_byte_is_written(name, fault, given, expected, tmp_path):
    format = find("data.formats", name)
    many = fault == "instances"  # two objects of one of several classes are more than numbered objects of the only class
    if fault and not many and getattr(format.holds, fault):
        return
    data = dataset([sample(0), given], ClassSet(("sky", "road", "Car"), things=("Car",)))
    with pytest.raises(CannotHold, match=expected):
        format.write(data, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in FORMATS if find("data.formats", name).holds.instances])
def test_objects_come_back_one_by_one(name, tmp_path):
    samples = [disc("two"), disc("void", void=True), Sample(picture(3), Segments.empty((12, 16)), key="none")]
    data = dataset(samples, ClassSet(("cell",), things=("cell",), nothing=True))
    find("data.formats", name).write(data, tmp_path / "out")
    back = open_dataset(tmp_path / "out")
    assert back.classes == data.classes
    for key, want in zip(data.keys, samples, strict=True):
        assert back[back.keys.index(key)].segments == want.segments


@pytest.mark.parametrize("name", FORMATS)
def test_an_interrupted_write_leaves_nothing(name, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    data = dataset([sample(0, channels=3)], ClassSet(("a", "b", "c")))
    module = __import__(f"intarsia.data.formats.{name}", fromlist=["write_labels"])
    monkeypatch.setattr(module, "write_labels", full)
    with pytest.raises(OSError, match="No space"):
        find("data.formats", name).write(data, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_with_files_is_not_written_over(name, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(CannotHold, match="expected a new or an empty folder"):
        find("data.formats", name).write(dataset([sample(0)], ClassSet(("a", "b", "c"))), tmp_path)
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
    with pytest.raises(DatasetNotFound, match=r"received (neither|none of them)"):
        open_dataset(tmp_path, format=name)
    with pytest.raises(DatasetNotFound) as caught:
        open_dataset(tmp_path)
    assert f"{name}: {find('data.formats', name).looks}" in str(caught.value)
    assert "received an empty folder" in str(caught.value)
