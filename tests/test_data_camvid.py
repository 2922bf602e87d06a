"""CamVid: the 32-class layout on a small tree with the real names, the 11-class one on the real data."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from _trees import CAMVID_32, camvid_tree, mask, picture
from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.errors import CannotHold, LabelError, OptionError, PairingError
from intarsia.data.dataset import Dataset
from intarsia.data.formats.camvid import CamVid
from intarsia.data.open import open_dataset


@pytest.mark.parametrize("kind", ["_P", "_L"])
def test_the_32_class_layout(kind, tmp_path):
    data = open_dataset(camvid_tree(tmp_path, kind=kind))
    assert data.format == "camvid"
    assert {split: data.split(split).keys for split in data.splits} == {
        "train": ["0001TP_006690", "0006R0_f00930"],
        "val": ["Seq05VD_f00000"],
    }
    assert len(data.classes) == 31
    assert data.classes.void == ("Void",)
    assert data.classes.index("Tree") == 26 == CAMVID_32.index("Tree")
    assert data.classes.index("Wall") == 30  # behind Void, whose id is 30
    assert "Car" in data.classes.things
    assert "Road" not in data.classes.things
    assert data.classes.colours[26] == ((37 * 26) % 256, (91 * 26) % 256, (53 * 26 + 11) % 256)
    for seed, key in enumerate(data.keys):
        ids = mask(seed, 32)
        want = np.where(ids == 30, -1, np.where(ids == 31, 30, ids.astype(int)))
        np.testing.assert_array_equal(data[data.keys.index(key)].segments.semantic(31), want)
    data.check()


def test_an_unknown_colour_names_the_file(tmp_path):
    data = open_dataset(camvid_tree(tmp_path, kind="_L"))
    Image.fromarray(np.full((12, 16, 3), 3, np.uint8)).save(tmp_path / "labels" / "0006R0_f00930_L.png")
    with pytest.raises(LabelError, match=r"0006R0_f00930_L.png: expected the 32 colours .* received \(3, 3, 3\)"):
        data.check()


def test_an_image_without_label_is_not_trained_on(tmp_path):
    camvid_tree(tmp_path)
    (tmp_path / "labels" / "0006R0_f00930_P.png").unlink()
    with pytest.raises(PairingError, match=r"images/0006R0_f00930.png: expected a mask, received none. Add it"):
        open_dataset(tmp_path).check()


def test_a_missing_codes_file_is_named(tmp_path):
    camvid_tree(tmp_path)
    (tmp_path / "codes.txt").unlink()
    with pytest.raises(LabelError, match=r"codes.txt: expected a class file of names.* received no such file"):
        open_dataset(tmp_path)


def test_both_layouts_are_written_and_read_back(tmp_path):
    source = open_dataset(camvid_tree(tmp_path / "in"))
    for layout in ("segnet", "fastai"):
        CamVid.write(source, tmp_path / layout, layout=layout)
        back = open_dataset(tmp_path / layout)
        assert back.format == "camvid"
        assert back.classes == source.classes
        assert back.splits == source.splits
        for key in source.keys:
            want, got = (data[data.keys.index(key)] for data in (source, back))
            np.testing.assert_array_equal(got.image, want.image)
            assert got.segments == want.segments
    assert (tmp_path / "segnet" / "trainannot" / "0001TP_006690.png").is_file()
    assert (tmp_path / "fastai" / "labels" / "Seq05VD_f00000_P.png").is_file()
    assert (tmp_path / "fastai" / "valid.txt").read_text() == "Seq05VD_f00000.png\n"


def test_a_class_called_void_and_a_split_without_place_are_refused(tmp_path):
    only = Sample(picture(0), Segments.from_semantic(mask(0, 2).astype(np.int8), 2), key="a")
    named = Dataset.from_samples([only], ClassSet(("Ignore", "b")), splits={"a": "train"})
    with pytest.raises(CannotHold, match="no class called void, received \\['Ignore'\\]"):
        CamVid.write(named, tmp_path / "out")
    with pytest.raises(CannotHold, match="splits: 'extra' where a split among train, val, test has a place"):
        CamVid.write(Dataset.from_samples([only], ClassSet(("a", "b")), splits={"a": "extra"}), tmp_path / "out")


def test_an_option_that_camvid_has_not_is_said_of_camvid(tmp_path):
    with pytest.raises(OptionError, match="option 'rules' of camvid"):
        open_dataset(camvid_tree(tmp_path), rules=1)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (ClassSet(("a", "Car")), "classes: no things where things Car has a place"),
        (ClassSet(("a", "car"), things=("car",)), "classes: things car where no things has a place"),
        (ClassSet(("a", "b"), void=("mud",)), "classes: void mud where void Void has a place"),
        (ClassSet(("a ", "b,")), r"names of one line, without space or comma at either end, received \['a ', 'b,'\]"),
        (ClassSet(("a", "b\nc")), "names of one line"),
        (ClassSet(("a", "b"), nothing=True), "classes: pixels that may be of no class where a class for each pixel has a place"),
    ],
)
def test_classes_that_would_come_back_as_others_are_refused(classes, expected, tmp_path):
    only = Sample(picture(0), Segments.from_semantic(mask(0, 2).astype(np.int8), 2), key="a")
    with pytest.raises(CannotHold, match=expected) as caught:
        CamVid.write(Dataset.from_samples([only], classes, splits={"a": "train"}), tmp_path / "out")
    assert "Nothing was written" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# -- the real data -----------------------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_real_camvid_by_its_bare_name(data_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("INTARSIA_DATA", str(data_dir))
    monkeypatch.chdir(tmp_path)
    data = open_dataset("camvid")
    assert {split: len(data.split(split)) for split in data.splits} == {"train": 367, "val": 101, "test": 233}
    assert data.classes.names[:4] == ("Sky", "Building", "Pole", "Road")
    assert len(data.classes) == 11
    assert data.classes.colours[3] == (128, 64, 128)
    assert set(data.classes.things) >= {"Car", "Pedestrian", "Bicyclist"}


@pytest.mark.data
def test_real_labels_are_the_values_of_the_png(data_dir):
    data = open_dataset(data_dir / "camvid")
    data.check()
    totals = np.zeros(12, np.int64)
    for index in range(0, len(data), 7):
        raw = np.asarray(Image.open(data.records[index].label))
        segments = data.segments(index)  # from the cache, filled by check
        np.testing.assert_array_equal(segments.semantic(11), np.where(raw == 11, -1, raw.astype(int)))
        totals += np.bincount(raw.ravel(), minlength=12)
    share = totals / totals.sum()
    assert share[3] > 0.2  # Road and Building are the large ones
    assert share[1] > 0.2
    assert share[10] < 0.01  # Bicyclist is rare
    assert len(data.cache) == 701
    assert data.cache.used < 30 << 20
    assert data[0].image.shape == (360, 480, 3)
    assert data[0].image.dtype == np.uint8
