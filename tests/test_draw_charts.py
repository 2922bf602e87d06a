"""Charts, and pictures as files."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from intarsia.core import ClassSet, Segments
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.draw.confusion import confusion_picture
from intarsia.draw.curves import curves, lr_curve
from intarsia.draw.label_map import label_map
from intarsia.draw.reliability import reliability
from intarsia.draw.save import save

STREET = ClassSet(("road", "car"), ((128, 64, 128), (0, 0, 200)), things=("car",), nothing=True)
WHITE = np.full((6, 6, 3), 200, np.uint8)


# -- charts ------------------------------------------------------------------------------------------------------------------


def test_curves_take_numbers_text_and_gaps():
    rows = [{"epoch": epoch, "loss": 1 / epoch, "lr": 1e-3, "seconds": 2.0} for epoch in range(1, 6)]
    rows[3] |= {"val_mean_iou": 0.5, "val_pixel_accuracy": float("nan")}
    text = [
        {name: str(value) for name, value in row.items()} | ({} if "val_mean_iou" in row else {"val_mean_iou": ""}) for row in rows
    ]
    assert np.array_equal(curves(rows), curves(text))
    assert curves(rows).shape[1] > curves([{"loss": 2.0}]).shape[1]  # three panels, one panel
    assert curves([]).ndim == 3


def test_a_diagram_of_too_sure_answers_shows_the_gap_above_the_bar():
    picture = reliability(np.array([[10, 0.25, 0.75]])).astype(int)  # pixels, right, confidence
    pure = np.abs(picture - (47, 109, 181)).max(axis=-1) < 3  # up to what is right
    pale = np.abs(picture - np.array((217, 72, 43)) * 0.3 - 255 * 0.7).max(axis=-1) < 3  # on white, from there to the confidence
    assert 1.6 < pale.sum() / pure.sum() < 2.1  # twice as high, but for what lines and the legend hide
    rows = [np.nonzero(part.any(axis=1))[0].mean() for part in (pale, pure)]
    assert rows[0] < rows[1]


def test_curves_show_what_changes():
    falling = [{"epoch": epoch, "loss": 1 / epoch} for epoch in (1, 2, 3)]
    rising = [{"epoch": epoch, "loss": float(epoch)} for epoch in (1, 2, 3)]
    assert not np.array_equal(curves(falling), curves(rising))


def test_lr_curve_marks_the_suggestions_and_stands_infinity():
    rates, losses = np.logspace(-5, 0, 50), np.r_[np.linspace(2, 1, 40), np.full(9, 1e9), np.inf]
    bare, marked = lr_curve(rates, losses), lr_curve(rates, losses, {"valley": 1e-3})
    assert bare.shape == marked.shape
    assert not np.array_equal(bare, marked)
    assert (bare < 250).any(axis=-1)[100:300].sum() > 500  # the curve is within sight


def test_confusion_takes_the_matrix_with_nothing_and_void():
    square = np.array([[90, 10], [0, 0]])
    wide = np.zeros((3, 4), int)
    wide[:2, :2] = square
    assert np.array_equal(confusion_picture(square, STREET), confusion_picture(wide, STREET))  # empty ones are left out
    wide[2, 0] = 5
    assert not np.array_equal(confusion_picture(square, STREET), confusion_picture(wide, STREET))
    assert np.array_equal(confusion_picture(square, STREET), confusion_picture(square * 10, STREET))  # shares, not pixels
    other = np.array([[90, 10], [3, 7]])
    assert np.array_equal(confusion_picture(other, STREET), confusion_picture(other * [[1], [100]], STREET))  # of each true class
    with pytest.raises(InvalidNoun, match=r"confusion matrix: expected shape \(2, 2\) or \(3, 4\), received \(3, 2\)"):
        confusion_picture(np.zeros((3, 2)), STREET)


# -- files -------------------------------------------------------------------------------------------------------------------


def test_save_names_the_kinds_it_knows(tmp_path):
    with pytest.raises(OptionError, match=r"picture.bmp: expected a picture file: .png, .jpg, .*, received .bmp"):
        save(WHITE, tmp_path / "picture.bmp")
    with pytest.raises(OptionError, match=r"map.jpg: expected a lossless kind for label ids, received .jpg. Name it .png."):
        save(label_map(Segments.empty((6, 6)), STREET), tmp_path / "map.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".PNG"])
def test_save_writes_what_the_suffix_says(tmp_path, suffix):
    path = save(WHITE, tmp_path / f"a{suffix}")
    with Image.open(path) as picture:
        assert np.abs(np.asarray(picture).astype(int) - 200).max() <= 2


def test_an_older_picture_stays_when_writing_fails(tmp_path, monkeypatch):
    path = save(WHITE, tmp_path / "a.png")
    before = path.read_bytes()

    def full(self, file, *args, **options):
        os.write(os.open(file, os.O_WRONLY), b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left"):
        save(WHITE // 2, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
