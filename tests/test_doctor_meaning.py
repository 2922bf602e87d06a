"""The doctor on ids whose meaning is not what the class list says: what may be mended, what is refused, and what is told of it."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

import intarsia
from intarsia.cli import main
from intarsia.core.errors import OptionError
from intarsia.data.examine import examine, mended
from intarsia.data.images import read_labels, write_labels
from test_doctor import change, clean, images, masks


def found(root, severity="error", **options):
    return [finding for finding in examine(root, **options).findings if finding.severity == severity]


def smoothed(root):
    """Masks of 0 and 255 with smoothed borders; gives what they were."""
    (root / "codes.txt").write_text("ground\nplant\n")
    whole = {}
    for path in masks(root):
        plant = (read_labels(path) == 2).astype(np.uint8)
        whole[path.name] = cv2.resize(plant[::2, ::2], plant.shape[::-1], interpolation=cv2.INTER_NEAREST)
        write_labels(path, cv2.resize(plant[::2, ::2] * 255, plant.shape[::-1], interpolation=cv2.INTER_LINEAR))
    return whole


def test_smoothed_black_and_white_become_two_classes(tmp_path):
    whole = smoothed(clean(tmp_path / "data"))
    (finding,) = found(tmp_path / "data")
    assert finding.check == "binary_masks"
    assert "smoothed borders" in finding.message
    copy = mended(examine(tmp_path / "data"), tmp_path / "out")
    assert copy.errors == ()
    for path in masks(tmp_path / "out"):
        labels = read_labels(path)
        assert set(np.unique(labels)) == {0, 1}
        assert (labels != whole[path.name]).mean() < 0.02


def test_black_and_white_of_three_classes_are_refused(tmp_path):
    smoothed(clean(tmp_path / "data"))
    (tmp_path / "data/codes.txt").write_text("ground\ncrop\nweed\n")
    with pytest.raises(OptionError, match="Say which two classes 0 and 255 are"):
        mended(examine(tmp_path / "data"), tmp_path / "out")


def test_a_void_border_of_255_is_not_black_and_white(tmp_path):
    root = clean(tmp_path)
    (root / "codes.txt").write_text("ground\nplant\n")
    change(root, lambda labels: np.where(labels == 2, 255, labels), 99)
    assert found(root) == []


def shifted_void(root):
    (root / "codes.txt").write_text("ground\ncrop\nweed\nvoid\n")
    change(root, lambda labels: np.where(np.arange(80) > 76, 3, labels), 99)
    whole = [read_labels(path) for path in masks(root)]
    change(root, lambda labels: labels + 1, 99)
    return whole


def shifted_stray(root):
    change(root, lambda labels: np.where(np.arange(80) > 76, 255, labels), 99)
    whole = [read_labels(path) for path in masks(root)]
    change(root, lambda labels: np.where(labels == 255, 255, labels + 1), 99)
    first = read_labels(masks(root)[0])
    first[0, 0], whole[0][0, 0] = 0, 255
    write_labels(masks(root)[0], first)
    return whole


@pytest.mark.parametrize("dirty", [shifted_void, shifted_stray], ids=lambda dirty: dirty.__name__)
def test_ids_that_begin_at_1_are_told_in_spite_of_void_and_strays(dirty, tmp_path):
    whole = dirty(clean(tmp_path / "data"))
    (finding,) = found(tmp_path / "data")
    assert finding.check == "off_by_one_ids"
    assert ("1 stray pixel," in finding.message) == (dirty is shifted_stray)
    copy = mended(examine(tmp_path / "data"), tmp_path / "out")
    assert copy.changed == {"off_by_one_ids": 12}
    for path, labels in zip(masks(tmp_path / "out"), whole, strict=True):
        np.testing.assert_array_equal(read_labels(path), labels)


def background_first(root):
    change(root, lambda labels: np.where(np.arange(80) < 4, 0, labels + 1), 99)


def spread(root):
    change(root, lambda labels: labels * 20, 99)


def for_an_absent_class(root):
    (root / "codes.txt").write_text("ground\ncrop\nweed\nstone\n")
    change(root, lambda labels: np.where((np.arange(64)[:, None] < 2) & (np.arange(80) < 5), 7, labels), 3)


@pytest.mark.parametrize(
    ("dirty", "told", "reason"),
    [
        (background_first, "0 is background or void and the names begin at 1", "too many to be strays"),
        (spread, "places in the class list times 20", "too many to be strays"),
        (for_an_absent_class, "the names may be of other ids", "may be stone"),
    ],
    ids=["background_first", "spread", "absent"],
)
def test_unknown_ids_that_mean_something_are_not_made_void(dirty, told, reason, tmp_path):
    root = clean(tmp_path / "data")
    dirty(root)
    (finding,) = found(root)
    assert finding.check == "unknown_ids"
    assert told in finding.remedy
    assert "void=ID" not in finding.remedy
    with pytest.raises(OptionError, match=reason):
        mended(examine(root), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_pixels_of_strays_are_told(tmp_path):
    root = clean(tmp_path)
    change(root, lambda labels: np.where((np.arange(64)[:, None] < 2) & (np.arange(80) < 5), 7, labels), 3)
    (finding,) = found(root)
    assert "30 pixels (0.05%)" in finding.message
    assert "void=ID" in finding.remedy
    assert found(root, void=7) == []


def test_the_command_tells_what_it_mended_and_whether_the_copy_is_sound(tmp_path, capsys):
    root = clean(tmp_path / "data")
    change(root, lambda labels: np.where((np.arange(64)[:, None] < 2) & (np.arange(80) < 5), 7, labels), 3)
    masks(root)[5].unlink()
    out = tmp_path / "mended"
    assert main(["doctor", str(root), "--fix", str(out)]) == 1
    told = capsys.readouterr().out
    assert f"mended copy: {out}, 11 images\n" in told
    assert "changed for unknown_ids: 3\n" in told
    assert "left out for missing_masks: 1 (images/train/" in told
    assert told.rstrip().endswith("the copy is sound")
    assert main(["doctor", str(root), "--fix", str(tmp_path / "again"), "--json"]) == 1
    copy = json.loads(capsys.readouterr().out)["copy"]
    assert (copy["images"], copy["changed"], copy["sound"]) == (11, {"unknown_ids": 3}, True)


def test_a_refused_mend_tells_the_findings(tmp_path):
    root = clean(tmp_path / "data")
    spread(root)
    (finding,) = found(root)
    with pytest.raises(OptionError) as refused:
        intarsia.doctor(root, fix=tmp_path / "out")
    assert finding.message in str(refused.value)
    assert len(images(root)) == 12
