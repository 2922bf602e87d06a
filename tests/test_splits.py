"""Splits: shares kept for images and for pixels of each class, groups whole, leaks refused, the same on each machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import intarsia
from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.errors import DatasetNotFound, LabelError, LeakError, OptionError
from intarsia.data.dataset import Dataset
from intarsia.data.doctor.similar_images import MOST_GREY
from intarsia.data.images import write_image, write_labels
from intarsia.data.open import open_dataset
from intarsia.data.splits import Splits, _thumb, class_pixels, groups_of, make_splits, read_splits, similar_groups

CLASSES = ClassSet(("common", "rare"), nothing=True)


def data(count: int, rare: int, *, prefix: str = "i") -> Dataset:
    """`count` images of which the first `rare` show the rare class."""
    samples = []
    for number in range(count):
        labels = np.zeros((4, 5), np.int16)
        if number < rare:
            labels[0, :2] = 1
        samples.append(Sample(np.zeros((4, 5, 1), np.uint8), Segments.from_semantic(labels, 2), key=f"{prefix}{number:03d}"))
    return Dataset.from_samples(samples, CLASSES)


def shares(splits: Splits) -> dict[str, int]:
    return {split: len(splits.keys(split)) for split in sorted(set(splits.of.values()))}


def test_shares_of_images_and_of_the_rare_class_are_kept():
    some = data(100, 10)
    splits = make_splits(some, val=0.2, test=0.1)
    assert shares(splits) == {"test": 10, "train": 70, "val": 20}
    rare = {split: sum(key < "i010" for key in splits.keys(split)) for split in ("train", "val", "test")}
    assert rare == {"train": 7, "val": 2, "test": 1}


def test_without_stratifying_only_images_count():
    splits = make_splits(data(100, 10), val=0.2, stratify=False)
    assert shares(splits) == {"train": 80, "val": 20}


def test_folds_part_everything():
    splits = make_splits(data(25, 5), folds=5)
    assert shares(splits) == {str(fold): 5 for fold in range(5)}
    for fold in range(5):
        parts = splits.apply(data(25, 5), fold=fold)
        assert (len(parts.split("val")), len(parts.split("train"))) == (5, 20)
        assert sum(key < "i005" for key in parts.split("val").keys) == 1
    with pytest.raises(OptionError, match="fold: expected 0 to 4, received 5"):
        splits.apply(data(25, 5), fold=5)


@given(st.integers(6, 40), st.integers(0, 6), st.integers(0, 5))
def test_every_image_is_in_one_split_and_no_split_is_empty(count, rare, seed):
    splits = make_splits(data(count, rare), val=0.2, test=0.2, seed=seed)
    assert sorted(splits.of) == data(count, rare).keys
    assert set(splits.of.values()) == {"train", "val", "test"}


def test_the_same_for_a_seed_whatever_the_order():
    some = data(30, 6)
    backwards = some.subset(reversed(some.records))
    assert make_splits(some, val=0.3).of == make_splits(backwards, val=0.3).of
    assert make_splits(some, val=0.3).of != make_splits(some, val=0.3, seed=1).of


def test_groups_stay_whole():
    keys = [f"patient_{patient}_slice_{number}" for patient in range(10) for number in range(6)]
    samples = [Sample(np.zeros((4, 5, 1), np.uint8), Segments.empty((4, 5)), key=key) for key in keys]
    splits = make_splits(Dataset.from_samples(samples, CLASSES), val=0.2, group_by=r"patient_(\d+)")
    home = {}
    for key, split in splits.of.items():
        assert home.setdefault(key.split("_")[1], split) == split
    assert shares(splits) == {"train": 48, "val": 12}
    assert groups_of(["a/1", "a/2", "b/1"], "folder") == {"a/1": "a", "a/2": "a", "b/1": "b"}


@pytest.mark.parametrize(
    ("by", "text"),
    [("(", "a regular expression"), ("patient", "which has no group"), (r"x(\d)", "which 'p1' has nothing of")],
)
def test_groups_that_cannot_be_found(by, text):
    with pytest.raises(OptionError, match=text):
        groups_of(["p1"], by)


@pytest.mark.parametrize("wrong", [{"val": 0}, {"val": 0.6, "test": 0.6}, {"folds": 1}, {"val": -0.1, "test": 0.2}])
def test_shares_that_cannot_be(wrong):
    with pytest.raises(OptionError, match="add up to less than 1"):
        make_splits(data(10, 2), **wrong)
    with pytest.raises(OptionError, match="at least 3 images or groups"):
        make_splits(data(2, 0), val=0.2, test=0.2)


def test_the_file_is_read_again(tmp_path):
    splits = make_splits(data(20, 4), val=0.25, group_by=r"i(\d\d)")
    splits.write(tmp_path / "split.json")
    again = read_splits(tmp_path / "split.json")
    assert (again.of, again.groups, again.folds) == (splits.of, splits.groups, 0)
    assert again.made["seed"] == 0
    assert '\n   "i000"' in (tmp_path / "split.json").read_text()


def test_a_leak_is_an_error(tmp_path):
    splits = Splits({"a": "train", "b": "val"}, groups={"a": "p1", "b": "p1"})
    with pytest.raises(LeakError, match=r"group 'p1': expected all its images in one split, received some in train, 'b' in val"):
        splits.check()
    (tmp_path / "twice.json").write_text('{"splits": {"train": ["a"], "val": ["a"]}}')
    with pytest.raises(LeakError, match="'a' in two"):
        read_splits(tmp_path / "twice.json")


def test_files_that_are_none(tmp_path):
    with pytest.raises(DatasetNotFound, match="intarsia split"):
        read_splits(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(LabelError, match="expected"):
        read_splits(tmp_path / "bad.json")
    with pytest.raises(LabelError, match=r"received z. Did you mean|received z"):
        Splits({"z": "train"}).apply(data(2, 0))


def test_only_its_name_waives_a_leak_of_groups():
    splits = Splits({"i000": "train", "i001": "val"}, groups={"i000": "p1", "i001": "p1"})
    with pytest.raises(LeakError, match="--waive leak"):
        splits.apply(data(2, 1))
    assert splits.apply(data(2, 1), waive=("leak",)).splits == ("train", "val")


def test_the_waiver_of_a_training_reaches_the_file_of_splits(tmp_path):
    from _trees import sample
    from intarsia.api.data import convert
    from intarsia.api.training import train

    samples = [sample(0), sample(1)]
    pictures = [Sample(one.image, one.segments, key=f"s{number}") for number, one in enumerate(samples)]
    convert(Dataset.from_samples(pictures, ClassSet(("a", "b", "c"))), tmp_path / "data", "mask_folder")
    file = tmp_path / "splits.json"
    Splits({"s0": "train", "s1": "val"}, groups={"s0": "p1", "s1": "p1"}).write(file)
    given = {"data_args": {"splits": str(file)}, "epochs": 1, "model_args": {"widths": (4, 8)}, "quiet": True}
    with pytest.raises(LeakError, match="--waive leak"):
        train(tmp_path / "data", out=tmp_path / "run", **given)
    assert train(tmp_path / "data", out=tmp_path / "run", waive=("leak",), **given).metrics


def test_a_file_may_say_validation(tmp_path):
    (tmp_path / "split.json").write_text('{"splits": {"train": ["i000"], "Validation": ["i001"], "valid": ["i002"]}}')
    assert read_splits(tmp_path / "split.json").apply(data(3, 1)).split("val").keys == ["i001", "i002"]
    (tmp_path / "split.json").write_text('{"splits": {"val": ["i001"], "validation": ["i001"]}}')
    with pytest.raises(LeakError, match="'i001' in two"):
        read_splits(tmp_path / "split.json")


def test_a_misspelt_entry_is_refused(tmp_path):
    (tmp_path / "split.json").write_text('{"splits": {"train": ["a"], "val": ["b"]}, "goups": {"a": "p1", "b": "p1"}}')
    with pytest.raises(LabelError, match=r"made, folds, splits, groups, received 'goups'. Did you mean 'groups'"):
        read_splits(tmp_path / "split.json")
    (tmp_path / "split.json").write_text('{"splits": {"train": ["a"], "val": ["b"]}, "groups": ["a", "b"]}')
    with pytest.raises(LabelError, match="expected"):
        read_splits(tmp_path / "split.json")


def test_folds_are_named_by_number(tmp_path):
    (tmp_path / "split.json").write_text('{"folds": 3, "splits": {"train": ["a"], "val": ["b"]}}')
    with pytest.raises(LabelError, match=r"splits of 3 folds: expected names of folds alone, 0 to 2, received train, val. Leave"):
        read_splits(tmp_path / "split.json")


def films(root: Path) -> Dataset:
    """Four films of six frames, in each of which one picture fades into another, their names mixed."""
    for film in range(4):
        first, last = np.random.default_rng(film).integers(20, 200, (2, 16, 16)).repeat(4, axis=1).repeat(4, axis=2)
        for frame in range(6):
            image = first + 0.02 * frame * (last - first)  # (64, 64)
            write_image(root / "images" / f"{frame}_{film}.png", image.astype(np.uint8)[..., None])
            write_labels(root / "masks" / f"{frame}_{film}.png", np.full((64, 64), frame % 2))
    (root / "codes.txt").write_text("sky\nroad\n")
    return open_dataset(root)


def test_similar_images_stay_together(tmp_path):
    some = films(tmp_path)
    groups = similar_groups(some)
    assert {tuple(sorted(key for key in groups if groups[key] == name)) for name in groups.values()} == {
        tuple(f"{frame}_{film}" for frame in range(6)) for film in range(4)
    }
    thumbs = [_thumb(some, some.records[some.keys.index(key)]).astype(int) for key in ("0_0", "5_0")]
    assert abs(thumbs[0] - thumbs[1]).mean() > MOST_GREY  # alike by way of the others alone
    splits = make_splits(some, val=0.25, group_by="similar")
    assert shares(splits) == {"train": 18, "val": 6}
    assert splits.groups == groups
    with pytest.raises(OptionError, match="expected images in files, to find similar ones, received 'i000' in memory"):
        make_splits(data(4, 2), val=0.5, group_by="similar")


def test_a_folder_is_opened_in_the_splits_of_a_file(tmp_path):
    from _trees import mask_tree

    mask_tree(tmp_path / "data", ("a", "b", "c", "d"))
    make_splits(open_dataset(tmp_path / "data"), val=0.25).write(tmp_path / "split.json")
    opened = open_dataset(tmp_path / "data", splits=tmp_path / "split.json")
    assert (len(opened.split("train")), len(opened.split("val"))) == (3, 1)
    assert opened.options == {"splits": str(tmp_path / "split.json")}


def test_pixels_of_each_class():
    np.testing.assert_array_equal(class_pixels(data(2, 1)), [[18, 2], [20, 0]])


def test_an_image_in_two_splits_is_an_error_that_only_its_name_waives(tmp_path):
    from _trees import sample
    from intarsia.api.training import train

    twice = [sample(0), sample(1), sample(0)]
    twice = [Sample(one.image, one.segments, key=f"s{number}") for number, one in enumerate(twice)]
    splits = {"s0": "train", "s1": "train", "s2": "val"}
    leaky = Dataset.from_samples(twice, ClassSet(("a", "b", "c")), splits=splits)
    with pytest.raises(
        LeakError, match=r"s2: expected an image that is in the split 'val' alone, .* as s0 in 'train'. .*--waive leak"
    ):
        train(leaky, out=tmp_path / "run")
    leaky.check(waive=("leak",))
    Dataset.from_samples(twice, ClassSet(("a", "b", "c")), splits=dict.fromkeys(splits, "train")).check()


def test_folds_are_alike_in_size_and_told_in_order():
    rng = np.random.default_rng(0)
    samples = []
    for number in range(82):
        labels = rng.integers(0, 2, (4, 5)) * (rng.random() < 0.5) * (rng.random((4, 5)) < rng.random())
        samples.append(Sample(np.zeros((4, 5, 1), np.uint8), Segments.from_semantic(labels, 2), key=f"i{number:03d}"))
    splits = make_splits(Dataset.from_samples(samples, CLASSES), folds=5)
    assert sorted(shares(splits).values()) == [16, 16, 16, 17, 17]
    assert [part.split()[0] for part in str(splits).split(", ")] == ["0", "1", "2", "3", "4"]
    assert str(Splits({"a": "val", "b": "extra", "c": "train"})) == "train 1, val 1, extra 1"


def test_folds_leave_the_test_split_of_the_data_alone():
    whole = data(15, 5)
    own = Dataset.from_samples(list(whole), CLASSES, splits={key: "test" if key > "i009" else "train" for key in whole.keys})
    splits = make_splits(own, folds=5)
    assert len(splits.of) == 10
    assert splits.notes == ["5 images of the data's own test split are in no fold, and stay test"]
    parts = splits.apply(own, fold=1)
    assert {split: len(parts.split(split)) for split in parts.splits} == {"train": 8, "val": 2, "test": 5}


def test_a_missed_share_is_told():
    of = {str(number): "val" if number < 4 else "train" for number in range(10)}
    notes = Splits(of, groups=of, made={"shares": {"train": 0.85, "val": 0.15}}).notes
    assert notes[1] == "val was to have 15% of the images and has 40%, for groups stay whole"
    few = "val was to have 20% of the images and has 33%, for 3 images cannot be parted nearer"
    assert make_splits(data(3, 1), val=0.2).notes[1] == few
    assert make_splits(data(3, 1), val=0.2, group_by=r"i(\d+)").notes[1] == few  # each is a group of its own
    assert make_splits(data(100, 10), val=0.2).notes == []


def test_a_fold_is_to_be_named(tmp_path):
    from _trees import mask_tree

    mask_tree(tmp_path / "data", ("a", "b", "c", "d"))
    make_splits(open_dataset(tmp_path / "data"), folds=2).write(tmp_path / "folds.json")
    make_splits(open_dataset(tmp_path / "data"), val=0.25).write(tmp_path / "split.json")
    with pytest.raises(OptionError, match=r"fold: expected 0 to 1, received none. Say which is val: fold=0"):
        open_dataset(tmp_path / "data", splits=tmp_path / "folds.json")
    with pytest.raises(OptionError, match="fold: expected a file of folds too, received 1. Name it: splits=FILE"):
        open_dataset(tmp_path / "data", fold=1)
    with pytest.raises(OptionError, match="expected splits that are folds, received fold=1 of splits train 3, val 1"):
        open_dataset(tmp_path / "data", splits=tmp_path / "split.json", fold=1)
    opened = open_dataset(tmp_path / "data", splits=tmp_path / "folds.json", fold=0)
    assert opened.options == {"splits": str(tmp_path / "folds.json"), "fold": 0}
    with pytest.raises(OptionError, match="Did you mean 'test'"):
        open_dataset(tmp_path / "data", tst=0.1)


@pytest.mark.parametrize("words", ["split {data} --val 0.25 --out {out}", "plan {data} --out {out}"])
def test_a_file_that_is_there_is_not_written_over(words, tmp_path, capsys):
    from _trees import mask_tree
    from intarsia.cli import main

    mask_tree(tmp_path / "data", ("a", "b", "c", "d"))
    (tmp_path / "out").write_text("edited")
    assert main(words.format(data=tmp_path / "data", out=tmp_path / "out").split()) == 1
    assert "expected a new file" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(OptionError, match="expected a new file"):
        getattr(intarsia, words.split()[0])(tmp_path / "data", out=tmp_path / "out")
    assert (tmp_path / "out").read_text() == "edited"
