"""The doctor's pictures: what can be drawn is, as the files have it, and where nothing can, that is said."""

from __future__ import annotations

import numpy as np
import pytest

import intarsia
from intarsia.cli import main
from intarsia.engine import looking
from intarsia.engine.looking import draw_findings
from test_doctor import change, clean, colour_masks, differing_sizes, lossy_masks, unknown_ids, unreadable_files


@pytest.fixture
def drawn(monkeypatch):
    """The samples that are put on a sheet."""
    samples = []
    monkeypatch.setattr(looking, "sheet", lambda some, **_: samples.extend(some) or np.zeros((8, 8, 3), np.uint8))
    return samples


@pytest.mark.parametrize("dirty", [differing_sizes, colour_masks, lossy_masks], ids=lambda dirty: dirty.__name__)
def test_halves_that_do_not_go_together_are_shown_each(dirty, tmp_path, drawn):
    root = clean(tmp_path / "data")
    dirty(root)
    assert draw_findings(intarsia.doctor(root), tmp_path / "sheet.png", count=1)
    assert [sample.key.rpartition(", ")[2] for sample in drawn] == ["the image", "the label"]
    assert drawn[0].image.shape == (64, 80, 3)


def test_of_a_corrupt_image_the_label_is_shown(tmp_path, drawn):
    root = clean(tmp_path / "data")
    unreadable_files(root)
    assert draw_findings(intarsia.doctor(root), tmp_path / "sheet.png")
    assert [sample.key.rpartition(", ")[2] for sample in drawn] == ["the label"]
    assert drawn[0].segments is not None


def test_ids_are_those_of_the_file_with_their_names(tmp_path, drawn):
    root = clean(tmp_path / "data")
    (root / "codes.txt").write_text("ground\ncrop\nweed\nvoid\n")
    change(root, lambda labels: np.where(np.arange(80) > 76, 3, labels), 99)
    unknown_ids(root)
    draw_findings(intarsia.doctor(root), tmp_path / "sheet.png", count=1)
    (sample,) = drawn
    assert sample.segments.classes.tolist() == [0, 1, 2, 7]
    assert [sample.classes.names[index] for index in sample.segments.classes] == ["ground", "crop", "weed", "id 7"]
    assert (sample.segments.semantic(8)[:, 77:] == -1).all()


def test_the_numbers_written_are_the_ids_of_the_file(monkeypatch):
    from PIL import ImageDraw

    from intarsia.core import ClassSet, Segments
    from intarsia.draw.look import look

    written = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, place, text, **_: written.append(text))
    labels = np.where(np.arange(80) < 40, 0, 7) * np.ones((64, 1), np.int64)
    segments, classes = Segments.from_semantic(labels, 8), ClassSet(tuple("abcdefgh"))
    look(np.zeros((64, 80, 3), np.uint8), segments, classes, stored=True)
    assert {text for text in written if text.isdigit()} == {"0", "7"}


def test_the_command_says_what_it_drew(tmp_path, capsys):
    root = clean(tmp_path / "data")
    assert main(["doctor", str(root), "--sheet", str(tmp_path / "none.png")]) == 0
    assert "none.png not written: there is nothing to show a picture of" in capsys.readouterr().out
    unknown_ids(root)
    assert main(["doctor", str(root), "--sheet", str(tmp_path / "some.png")]) == 1
    assert f"pictures of the findings: {tmp_path / 'some.png'}" in capsys.readouterr().out
    assert (tmp_path / "some.png").is_file()
    assert not (tmp_path / "none.png").exists()
