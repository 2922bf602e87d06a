"""What the doctor tells of a finding: the file that is meant, what it is like, and a remedy that works as it stands."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest
from PIL import Image

from intarsia.cli import main
from intarsia.data.examine import examine, mended
from intarsia.data.images import read_image, read_labels, write_image, write_labels
from intarsia.data.open import open_dataset
from test_doctor import (
    absent_classes,
    binary_masks,
    change,
    clean,
    colour_masks,
    duplicates,
    images,
    masks,
    mixed_images,
    near_duplicates,
    off_by_one_ids,
    shared_images,
    similar_images,
    unknown_ids,
)


def only(root, **options):
    (finding,) = examine(root, **options).findings
    return finding


@pytest.mark.parametrize("dirty", [binary_masks, colour_masks, unknown_ids], ids=lambda dirty: dirty.__name__)
def test_a_remedy_on_the_command_line_works(dirty, tmp_path, capsys):
    root = clean(tmp_path)
    dirty(root)
    told = re.search(r"--data-args (\"[^\"]*\"|[\w=]+)", only(root).remedy)
    assert main(["doctor", str(root), *shlex.split(told[0].replace("ID", "7"))]) == 0
    assert "sound: nothing found" in capsys.readouterr().out


def test_the_classes_that_were_guessed_can_be_named_as_told(tmp_path):
    root = clean(tmp_path)
    (root / "codes.txt").unlink()
    change(root, lambda labels: np.where(labels == 2, 255, 0), 99)
    finding = only(root)
    assert finding.check == "guessed_classes"
    (root / "codes.txt").write_text("\n".join(re.findall(r"'(\d+ \w+)'", finding.message)))
    assert examine(root).findings == ()
    assert open_dataset(root).classes.names == ("background", "foreground")


def test_a_truncated_image_is_named_itself(tmp_path):
    path = images(clean(tmp_path))[2]
    path.write_bytes(path.read_bytes()[:200])
    finding = only(tmp_path)
    assert finding.files == (path.relative_to(tmp_path).as_posix(),)
    assert finding.files[0] in finding.message


@pytest.mark.parametrize("dirty", [duplicates, shared_images, similar_images, near_duplicates], ids=lambda dirty: dirty.__name__)
def test_images_that_are_alike_are_told_both(dirty, tmp_path):
    dirty(clean(tmp_path))
    report = examine(tmp_path)
    (finding,) = report.findings
    assert len(finding.others) == len(finding.files)
    assert all(file.startswith("images/") and file != other for file, other in zip(finding.files, finding.others, strict=True))
    assert f"{finding.files[0]} as {finding.others[0]}" in str(report)
    assert report.to_dict()["findings"][0]["others"]


def test_a_class_without_training_images_is_named(tmp_path):
    for path in sorted((clean(tmp_path) / "masks/train").iterdir()):
        write_labels(path, read_labels(path) % 2)
    finding = only(tmp_path)
    assert (finding.check, finding.severity) == ("untrained_classes", "warning")
    assert "1 of the classes is in no training image, but in 3 of val or test: weed" in finding.message


@pytest.mark.parametrize(
    ("dirty", "text"),
    [
        (duplicates, "1 image that is there already, pixel by pixel"),
        (shared_images, "1 image of one split that is in another too"),
        (similar_images, "1 image that looks almost as one in another split"),
        (absent_classes, "1 of the classes occurs in no image: stone"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_one_and_many_have_their_own_words(dirty, text, tmp_path):
    dirty(clean(tmp_path))
    assert only(tmp_path).message.startswith(text)


def test_of_a_single_pair_all_is_told_in_the_singular(tmp_path):
    colour_masks(clean(tmp_path, 1))
    report = examine(tmp_path)
    assert str(report).startswith(f"{tmp_path}: 1 image, read as")
    assert "1 mask holds colours" in report.findings[0].message
    off_by_one_ids(clean(tmp_path / "other", 1))
    assert examine(tmp_path / "other").findings[0].message.startswith("the ids are 1 to 3 in the only mask, while")


def test_images_of_several_kinds_are_told_apart(tmp_path):
    mixed_images(clean(tmp_path))
    path = images(tmp_path)[0]
    image = read_image(path)
    write_image(path, np.concatenate([image, image[..., :1] * 0 + 255], axis=-1))
    told = only(tmp_path).message
    assert "1 with 4 of uint8" in told
    assert "1 with 1 of uint8" in told


def test_white_is_the_second_of_two_classes(tmp_path):
    root = clean(tmp_path / "data")
    (root / "codes.txt").write_text("ground\nplant\n")
    whole = {}
    for path in masks(root):
        whole[path.name] = (read_labels(path) == 2).astype(np.uint8)
        write_image(path, np.repeat(whole[path.name][..., None] * 255, 3, axis=-1))
    assert "black as id 0 and white as id 1" in only(root).remedy
    assert mended(examine(root), tmp_path / "out").errors == ()
    for path in masks(tmp_path / "out"):
        np.testing.assert_array_equal(read_labels(path), whole[path.name])
    (root / "label_colors.txt").write_text("0 0 0 ground\n255 255 255 plant\n")
    assert "by_colour=True" in only(root).remedy
    assert examine(root, by_colour=True).findings == ()


def test_masks_of_ids_in_three_channels_are_told_as_such_without_a_class_file(tmp_path):
    root = clean(tmp_path)
    (root / "codes.txt").unlink()
    path = masks(root)[0]
    write_image(path, np.repeat(read_labels(path)[..., None], 3, axis=-1))
    assert only(root).remedy == "Save the masks with a single channel: each colour (N, N, N) is the id N"


def test_swapped_folders_are_told(tmp_path):
    root = clean(tmp_path / "data")
    for path in masks(root):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8)).save(path)
    told = next(finding for finding in examine(root).findings if finding.check == "colour_masks")
    assert "more than can be counted" in told.message
    assert "swapped" in told.remedy
