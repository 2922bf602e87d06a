"""The doctor: every finding on a dirty copy that it alone flags, nothing on clean ones, and a copy that is clean once mended."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import rmtree

import cv2
import numpy as np
import pytest
from PIL import Image

import intarsia
from intarsia.cli import main
from intarsia.core.catalogue import members
from intarsia.core.errors import OptionError
from intarsia.data.doctor.similar_images import near
from intarsia.data.examine import examine, mended
from intarsia.data.images import read_image, read_labels, write_image, write_labels

SIZE = (64, 80)


def clean(root: Path, count: int = 12, *, suffix: str = ".png") -> Path:
    """Images of distinct smooth noise with large blocks of three classes."""
    for number in range(count):
        rng = np.random.default_rng(number)
        image = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        labels = np.zeros(SIZE, np.uint8)
        labels[10:40, 5:45] = 2
        labels[30:60, 30 + number : 75] = 1
        split = ("train", "train", "train", "val")[number % 4]
        write_image(root / "images" / split / f"i{number:02d}{suffix}", image)
        write_labels(root / "masks" / split / f"i{number:02d}.png", labels)
    (root / "codes.txt").write_text("ground\ncrop\nweed\n")
    return root


def masks(root: Path) -> list[Path]:
    return sorted((root / "masks").rglob("*.png"))


def images(root: Path) -> list[Path]:
    return sorted((root / "images").rglob("*.*"))


def change(root: Path, how, some: int = 3) -> None:
    for path in masks(root)[:some]:
        write_labels(path, how(read_labels(path).astype(np.int64)))


def unreadable_files(root):
    path = images(root)[2]
    path.write_bytes(path.read_bytes()[:200])


def missing_masks(root):
    masks(root)[1].unlink()


def missing_images(root):
    images(root)[1].unlink()


def exif_rotation(root):
    path = images(root)[0]
    turned = path.with_suffix(".jpg")
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(read_image(path)).save(turned, quality=95, exif=exif)
    path.unlink()


def differing_sizes(root):
    path = masks(root)[0]
    write_labels(path, cv2.resize(read_labels(path), (40, 32), interpolation=cv2.INTER_NEAREST))


def colour_masks(root):
    table = np.array([(0, 0, 0), (0, 200, 0), (250, 10, 10)], np.uint8)
    for path in masks(root):
        write_image(path, table[read_labels(path)])
    (root / "label_colors.txt").write_text("0 0 0 ground\n0 200 0 crop\n250 10 10 weed\n")


def lossy_masks(root):
    for path in masks(root)[:4]:
        Image.fromarray(read_labels(path) * 20).save(path.with_suffix(".jpg"), quality=80)
        path.unlink()


def binary_masks(root):
    change(root, lambda labels: np.where(labels > 0, 255, 0), 99)
    (root / "codes.txt").write_text("ground\nplant\n")


def off_by_one_ids(root):
    change(root, lambda labels: labels + 1, 99)


def unknown_ids(root):
    change(root, lambda labels: np.where((np.arange(64)[:, None] < 2) & (np.arange(80) < 5), 7, labels))


def interpolated_masks(root):
    (root / "classes.json").write_text(json.dumps([{"name": "a", "id": 0}, {"name": "b", "id": 80}, {"name": "c", "id": 200}]))
    (root / "codes.txt").unlink()
    for path in masks(root):
        labels = np.array([0, 80, 200], np.uint8)[read_labels(path)]
        if path in masks(root)[:5]:
            labels = cv2.resize(labels[::2, ::2], SIZE[::-1], interpolation=cv2.INTER_LINEAR)
        write_labels(path, labels)


def doubtful_borders(root):
    (root / "codes.txt").write_text("ground\nwall\nroom\n")
    change(root, walled, 99)


def walled(labels):
    """Class 2 within a wall of class 1 that is one pixel wide."""
    rooms = (labels > 0).astype(np.uint8)
    return rooms + cv2.erode(rooms, np.ones((3, 3), np.uint8))


def mixed_masks(root):
    change(root, lambda labels: np.where(labels > 0, 255, 0), 2)


def absent_classes(root):
    (root / "codes.txt").write_text("ground\ncrop\nweed\nstone\n")


def empty_masks(root):
    change(root, lambda labels: labels * 0, 2)


def many_objects(root):
    (root / "codes.txt").unlink()
    (root / "classes.json").write_text(
        json.dumps({"names": ["cell"], "things": ["cell"], "nothing": True, "ids": [0], "objects": True})
    )
    for path in masks(root):
        numbers = np.zeros((160, 200), np.int64)
        numbers[::16, ::10] = np.arange(1, 201).reshape(10, 20)
        numbers[8::16, ::10] = np.arange(201, 401).reshape(10, 20)
        numbers = cv2.dilate(numbers.astype(np.float32), np.ones((7, 9))).astype(np.int64)
        write_labels(path, np.where(numbers > 0, (numbers - 1) % 255 + 1, 0))
    for path in images(root):
        write_image(path, cv2.resize(read_image(path), (200, 160)))


def mixed_images(root):
    path = images(root)[3]
    write_image(path, read_image(path)[..., :1])


def rare_classes(root):
    change(root, lambda labels: np.where(labels == 2, 0, labels), 99)
    path = masks(root)[0]
    labels = read_labels(path)
    labels[0, :5] = 2
    write_labels(path, labels)


def much_void(root):
    change(root, lambda labels: np.where((np.arange(80) % 40 > 15), 255, labels), 99)


def duplicates(root):
    first, second = images(root / ".")[:2]
    second.write_bytes(first.read_bytes())


def shared_images(root):
    train, val = sorted((root / "images/train").iterdir())[0], sorted((root / "images/val").iterdir())[0]
    train.write_bytes(val.read_bytes())


def similar_images(root):
    train, val = sorted((root / "images/train").iterdir())[0], sorted((root / "images/val").iterdir())[0]
    write_image(train, np.clip(read_image(val).astype(int) + 2, 0, 255).astype(np.uint8))


def near_duplicates(root):
    first, second = sorted((root / "images/train").iterdir())[:2]
    write_image(second, np.clip(read_image(first).astype(int) + 2, 0, 255).astype(np.uint8))


def doubtful_rotation(root):
    path = images(root)[0]
    exif = Image.Exif()
    exif[274] = 3
    Image.fromarray(read_image(path)).save(path.with_suffix(".jpg"), quality=95, exif=exif)
    path.unlink()


def no_truth(root):
    rmtree(root / "masks/val")


def untrained_classes(root):
    for path in sorted((root / "masks/train").iterdir()):
        labels = read_labels(path)
        write_labels(path, np.where(labels == 2, 0, labels))


def unlabelled_test(root):
    for path in images(root)[:2]:
        write_image(root / "images/test" / f"t{path.name}", 255 - read_image(path))


def small_objects(root):
    (root / "codes.txt").unlink()
    classes = {"names": ["ground", "crop", "weed"], "things": ["weed"], "ids": [0, 1, 2]}
    (root / "classes.json").write_text(json.dumps(classes))
    change(root, lambda labels: np.where((labels == 2) & ((np.arange(80) > 8) | (np.arange(64)[:, None] > 13)), 0, labels), 4)


def guessed_classes(root):
    (root / "codes.txt").unlink()


def not_opened(root):
    (root / "codes.txt").write_bytes(b"\xff\xfe\x00\x9d")


DIRTY = [
    unreadable_files, missing_masks, missing_images, exif_rotation, differing_sizes, colour_masks, lossy_masks, binary_masks,
    off_by_one_ids, unknown_ids, interpolated_masks, absent_classes, empty_masks, many_objects, mixed_images, rare_classes,
    much_void, duplicates, shared_images, similar_images, near_duplicates, small_objects, doubtful_rotation, no_truth,
    not_opened, guessed_classes, untrained_classes, unlabelled_test, doubtful_borders, mixed_masks,
]  # fmt: skip
HOPELESS = ("many_objects", "no_truth", "not_opened")


def checked(root: Path, *, size=(56, 72)):
    return examine(root, size=size)


def test_a_clean_folder_has_no_finding(tmp_path):
    report = checked(clean(tmp_path))
    assert report.findings == ()
    assert report.sound
    assert report.images == 12


def test_every_check_has_a_dirty_copy():
    elsewhere = {"annotated_sizes", "differing_grids", "unreadable_labels", "unused_files"}  # in test_doctor_formats.py too
    objects = {"boxes_astray", "lost_objects", "merged_objects", "only_crowds", "repeated_objects", "scattered_objects"}
    assert {dirty.__name__ for dirty in DIRTY} | elsewhere | objects == set(members("data.doctor"))


@pytest.mark.parametrize("dirty", DIRTY, ids=lambda dirty: dirty.__name__)
def test_each_dirty_copy_is_flagged_by_its_check_alone(dirty, tmp_path):
    dirty(clean(tmp_path))
    report = checked(tmp_path, size=None if dirty is many_objects else (56, 72))
    assert [finding.check for finding in report.findings] == [dirty.__name__]
    finding = report.findings[0]
    assert report.sound == (finding.severity != "error")
    assert len(finding.keys) == len(finding.files) > 0
    assert finding.message
    assert finding.remedy
    assert "{" not in finding.message
    assert json.dumps(report.to_dict())


@pytest.mark.parametrize("dirty", DIRTY, ids=lambda dirty: dirty.__name__)
def test_a_mended_copy_is_sound_and_the_original_untouched(dirty, tmp_path):
    root = clean(tmp_path / "data")
    dirty(root)
    before = {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    report = checked(root, size=None)
    if dirty.__name__ in HOPELESS:
        with pytest.raises(OptionError, match="expected findings that can be mended"):
            mended(report, tmp_path / "mended")
        assert not (tmp_path / "mended").exists()
    else:
        mended(report, tmp_path / "mended")
        again = checked(tmp_path / "mended")
        assert [finding.check for finding in again.findings if finding.severity == "error"] == []
        assert again.images >= 8
    assert {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()} == before


def test_mending_gives_the_labels_back(tmp_path):
    whole = {path.name: read_labels(path) for path in masks(clean(tmp_path / "clean"))}
    for dirty in (colour_masks, off_by_one_ids, exif_rotation):
        root = clean(tmp_path / dirty.__name__)
        dirty(root)
        mended(checked(root), tmp_path / f"{dirty.__name__}-mended")
        for path in masks(tmp_path / f"{dirty.__name__}-mended"):
            np.testing.assert_array_equal(read_labels(path), whole[path.name])


@pytest.mark.parametrize(("orientation", "size"), [(2, SIZE), (3, SIZE), (4, SIZE), (6, (64, 64))])
def test_a_turn_that_leaves_the_size_alike_is_doubtful(orientation, size, tmp_path):
    root = clean(tmp_path)
    for path, label in zip(images(root)[:2], masks(root)[:2], strict=True):
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(read_image(path)[: size[0], : size[1]]).save(path.with_suffix(".jpg"), quality=95, exif=exif)
        write_labels(label, read_labels(label)[: size[0], : size[1]])
        path.unlink()
    (finding,) = checked(root).findings
    assert (finding.check, finding.severity, len(finding.keys)) == ("doubtful_rotation", "warning", 2)


def test_an_orientation_that_turns_the_size_is_not_doubtful(tmp_path):
    root = clean(tmp_path)
    path, label = images(root)[0], masks(root)[0]
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(read_image(path)).save(path.with_suffix(".jpg"), quality=95, exif=exif)
    path.unlink()
    write_labels(label, np.rot90(read_labels(label), -1))
    assert checked(root).findings == ()


def test_colours_without_a_class_file_are_told_once(tmp_path):
    root = clean(tmp_path)
    colour_masks(root)
    (root / "codes.txt").unlink()
    (root / "label_colors.txt").unlink()
    assert [finding.check for finding in checked(root).findings] == ["colour_masks"]
    (root / "codes.txt").write_bytes(b"\xff\xfe\x00\x9d")
    assert {finding.check for finding in checked(root).findings} == {"colour_masks", "not_opened"}


@pytest.mark.parametrize("out", ["data", "data/fixed", "."])
def test_a_copy_within_the_data_or_around_it_is_refused_before_anything_is_written(out, tmp_path):
    root = clean(tmp_path / "data")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OptionError, match=r"--fix: expected a folder apart from the data .*/data, received .*name a folder beside"):
        intarsia.doctor(root, fix=tmp_path / out, sheet=tmp_path / "sheet.png")
    assert sorted(tmp_path.rglob("*")) == before


def test_near_finds_what_comparing_all_pairs_finds():
    rng = np.random.default_rng(0)
    thumbs = rng.integers(0, 256, (30, 16, 16)).astype(np.uint8)
    thumbs = np.concatenate([thumbs, np.clip(thumbs[:12].astype(int) + rng.integers(-3, 4, (12, 16, 16)), 0, 255).astype(np.uint8)])
    digests = [bytes([number]) for number in range(42)]
    small = thumbs.reshape(42, 8, 2, 8, 2).mean(axis=(2, 4))
    bits = (np.diff(small, axis=2, append=small[:, :, :1]) > 0).reshape(42, 64)
    close = ((bits[:, None] != bits).sum(axis=-1) <= 3) & (np.abs(thumbs[:, None] - thumbs.astype(float)).mean(axis=(2, 3)) <= 3)
    np.fill_diagonal(close, val=False)
    found = near(thumbs, digests)
    assert [number for number, _ in found] == np.flatnonzero(close.any(axis=1)).tolist()
    assert all(close[pair] for pair in found)
    assert len(found) >= 20


def test_near_gives_one_partner_to_each_of_many_blank_tiles():
    blank = np.zeros((3000, 16, 16), np.uint8)
    assert len(near(blank)) == 3000
    assert near(blank, [b"the same"] * 3000) == []
    assert near(blank[:4], own=[0, 1], others=[2, 3]) == [(0, 2), (1, 2)]


def test_findings_come_errors_first(tmp_path):
    root = clean(tmp_path)
    near_duplicates(root)
    unknown_ids(root)
    empty_masks(root)
    order = [finding.severity for finding in checked(root).findings]
    assert order == sorted(order, key=["error", "warning", "note"].index)
    assert len(order) == 3


def test_many_files_are_read_by_processes_alike(tmp_path, monkeypatch):
    root = clean(tmp_path)
    unknown_ids(root)
    by_threads = checked(root)
    monkeypatch.setattr("intarsia.data.doctor._survey.MANY", 0)
    assert checked(root).to_dict() == by_threads.to_dict()


def test_labels_are_decoded_once(tmp_path, monkeypatch):
    clean(tmp_path)
    calls = []
    monkeypatch.setattr("intarsia.data.doctor._facts.read_labels", lambda path: calls.append(path) or read_labels(path))
    monkeypatch.setattr("intarsia.data.label_files.read_labels", lambda path: calls.append(path) or read_labels(path))
    checked(tmp_path)
    assert sorted(calls) == masks(tmp_path)


def test_a_sheet_shows_samples_of_each_finding(tmp_path):
    root = clean(tmp_path / "data")
    unknown_ids(root)
    missing_masks(root)
    intarsia.doctor(root, sheet=tmp_path / "sheet.png")
    height, width, _ = read_image(tmp_path / "sheet.png").shape
    assert height > 4 * SIZE[0]
    assert width > 4 * SIZE[1]


def test_the_command_says_by_its_exit_status_whether_the_data_is_sound(tmp_path, capsys):
    root = clean(tmp_path / "data")
    assert main(["doctor", str(root)]) == 0
    assert "sound: nothing found" in capsys.readouterr().out
    off_by_one_ids(root)
    assert main(["doctor", str(root), "--fix", str(tmp_path / "mended")]) == 1
    out = capsys.readouterr().out
    assert "error: off_by_one_ids" in out
    assert "not sound: 1 error" in out
    assert main(["doctor", str(tmp_path / "mended"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sound"]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("camvid", {}),
        ("coco_instances", {}),
        ("coco_panoptic", {}),
        ("dsb2018_nuclei", {}),
        ("em_membrane", {}),
        ("geotiff", {}),
        ("magnetic_tile", {}),
        ("nifti_brain_tumour", {}),
        ("oxford_pets", {}),
        ("pennfudan", {}),
        ("voc_subset", {}),
    ],
)
def test_clean_real_data_has_no_error(data_dir, name, options):
    report = examine(data_dir / name, **options)
    assert [finding for finding in report.findings if finding.severity == "error"] == []
    assert report.images


@pytest.mark.data
def test_a_label_on_another_grid_is_found(data_dir, tmp_path):
    import nibabel

    for kind in ("image", "label"):
        volume = nibabel.load(data_dir / "nifti_brain_tumour" / f"brain1_{kind}.nii.gz")
        cut = volume.slicer[:, :, 2:] if kind == "label" else volume
        nibabel.save(cut, tmp_path / f"brain1_{kind}.nii.gz")
    assert [finding.check for finding in examine(tmp_path).findings if finding.severity == "error"] == ["differing_grids"]


@pytest.mark.data
def test_a_broken_polygon_is_found(data_dir, tmp_path):
    content = json.loads((data_dir / "coco_instances" / "instances.json").read_text())
    content["annotations"][5]["segmentation"] = [[1, 2, 3, 4]]
    (tmp_path / "instances.json").write_text(json.dumps(content))
    (tmp_path / "images").symlink_to(data_dir / "coco_instances" / "images")
    found = [finding for finding in examine(tmp_path).findings if finding.severity == "error"]
    assert [finding.check for finding in found] == ["unreadable_labels"]
    assert "x, y of three points" in found[0].message
