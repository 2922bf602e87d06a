"""`doctor --fix`: what was sound stays as it was, pixel by pixel, what can be mended is, and the rest is refused unwritten."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import intarsia
from _trees import camvid_tree
from intarsia.core.errors import OptionError
from intarsia.data.examine import examine, mended
from intarsia.data.images import read_image, read_labels, write_image, write_labels
from intarsia.data.open import open_dataset
from test_doctor import SIZE, checked, clean, images, interpolated_masks, masks, unknown_ids


def mend(root: Path, **options):
    """The report, the mended copy, and the report on that."""
    out = root.with_name(f"{root.name}-mended")
    report = examine(root, **options)
    mended(report, out)
    return report, out, examine(out)


def samples(root: Path, **options):
    """{(split, name): (image, class names of pixels)}; void is "?", nothing is ""."""
    data = open_dataset(root, **options)
    names = np.array([*data.classes.names, "", "?"])
    return {
        (record.split, Path(record.key).name): (sample.image, names[sample.segments.semantic(len(data.classes))])
        for record, sample in zip(data.records, data, strict=True)
        if sample.segments is not None
    }


# -- what was sound stays -----------------------------------------------------------------------------------------------------


def camvid_colours(root):
    camvid_tree(root, kind="_L")


def pets(root):
    for number in range(4):
        rng = np.random.default_rng(number)
        write_image(root / f"images/Abys_{number}.png", cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), SIZE[::-1]))
        trimap = np.full(SIZE, 2, np.uint8)
        trimap[10:40, 10 + number : 50] = 3
        trimap[13:37, 15:45] = 1
        write_labels(root / f"annotations/trimaps/Abys_{number}.png", trimap)


def written(to):
    def make(root):
        lose = ("classes", "order", "nothing")
        intarsia.convert(clean(root.with_name("clean")), root, to, lose=lose)

    make.__name__ = to
    return make


LAYOUTS = [clean, camvid_colours, pets, *map(written, ("camvid", "voc", "image_folder", "ade20k"))]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_what_was_sound_is_the_same_in_the_copy(layout, tmp_path):
    root = tmp_path / "data"
    layout(root)
    whole = samples(root)
    record = open_dataset(root).records[0]
    image = read_image(record.image)
    write_image(record.image, np.concatenate([image, image[..., :1] * 0 + 255], axis=-1))
    report, out, again = mend(root)
    assert [finding.check for finding in report.findings if finding.severity == "error"] == ["mixed_images"]
    assert again.sound
    assert samples(out).keys() == whole.keys()
    for name, (image, labels) in samples(out).items():
        np.testing.assert_array_equal(image, whole[name][0])
        np.testing.assert_array_equal(labels, whole[name][1])


def test_masks_read_by_colour_become_ids_with_the_same_meaning(tmp_path):
    root = clean(tmp_path / "data")
    table = np.array([(0, 0, 0), (0, 200, 0), (250, 10, 10)], np.uint8)
    for path in masks(root):
        write_image(path, table[read_labels(path)])
    (root / "label_colors.txt").write_text("0 0 0 ground\n0 200 0 crop\n250 10 10 weed\n")
    whole = samples(root, by_colour=True)
    assert examine(root, by_colour=True).sound
    gone = masks(root)[0]
    gone.unlink()
    _, out, again = mend(root, by_colour=True)
    assert again.sound
    del whole[("train", gone.stem)]
    assert samples(out).keys() == whole.keys()
    assert all((labels == whole[name][1]).all() for name, (_, labels) in samples(out).items())


def test_a_colour_without_a_class_is_found_by_colour_too(tmp_path):
    root = tmp_path / "data"
    camvid_colours(root)
    path = next((root / "labels").iterdir())
    write_image(path, np.where(np.arange(16)[:, None] < 3, 1, read_image(path)).astype(np.uint8))
    assert [finding.check for finding in examine(root).findings if finding.severity == "error"] == ["unreadable_labels"]


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_image_that_exif_turns_stays_on_its_upright_mask(orientation, tmp_path):
    root = clean(tmp_path / "data")
    unknown_ids(root)
    path, label = images(root)[0], masks(root)[0]
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(read_image(path)).save(path.with_suffix(".jpg"), quality=95, exif=exif)
    path.unlink()
    if orientation == 6:
        write_labels(label, np.rot90(read_labels(label), -1))
    seen = read_image(path.with_suffix(".jpg"))
    report, out, again = mend(root)
    assert "exif_rotation" not in [finding.check for finding in report.findings]
    assert again.sound
    np.testing.assert_array_equal(samples(out)[("train", path.stem)][0], seen)


def test_small_bit_depths_keep_their_ids(tmp_path):
    root = clean(tmp_path / "data")
    ids = read_labels(masks(root)[0])
    rows = b"".join(b"\0" + (row.reshape(-1, 4) @ np.array([64, 16, 4, 1])).astype(np.uint8).tobytes() for row in ids)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 80, 64, 2, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts]
    masks(root)[0].write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    np.testing.assert_array_equal(read_labels(masks(root)[0]), ids)
    write_image(images(root)[0], read_image(images(root)[0])[..., :1])
    _, out, again = mend(root)
    assert again.sound
    np.testing.assert_array_equal(read_labels(masks(out)[0]), ids)


# -- colours --------------------------------------------------------------------------------------------------------------------


def test_ids_saved_as_grey_colours_are_taken_as_they_are(tmp_path):
    root = clean(tmp_path / "data")
    whole = {}
    for path in masks(root):
        whole[path.name] = 2 - read_labels(path)  # the most frequent id is 2
        write_image(path, np.repeat(whole[path.name][..., None], 3, axis=-1))
    report, out, again = mend(root)
    assert "single channel" in report.findings[0].remedy
    assert again.sound
    for path in masks(out):
        np.testing.assert_array_equal(read_labels(path), whole[path.name])


def test_colours_of_no_known_class_are_refused(tmp_path):
    root = clean(tmp_path / "data")
    for path in masks(root):
        write_image(path, np.array([(0, 0, 0), (0, 200, 0), (250, 10, 10)], np.uint8)[read_labels(path)])
    with pytest.raises(OptionError, match=r"label_colors\.txt. No class is known for \(0, 0, 0\), \(0, 200, 0\)"):
        mended(examine(root), tmp_path / "out")
    (root / "label_colors.txt").write_text("0 0 0 ground\n0 200 0 crop\n")
    with pytest.raises(OptionError, match=r"No class is known for \(250, 10, 10\)"):
        mended(examine(root), tmp_path / "out")
    (root / "codes.txt").unlink()
    (root / "label_colors.txt").unlink()
    with pytest.raises(OptionError, match="findings that can be mended"):
        mended(examine(root), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def in_jpeg(root, painted):
    """Masks as JPEG; gives the ids by stem. `painted` makes ids and pixels of the labels that were there."""
    whole = {}
    for path in masks(root):
        whole[path.stem], pixels = painted(read_labels(path))
        Image.fromarray(pixels).save(path.with_suffix(".jpg"), quality=90)
        path.unlink()
    return whole


def wrong(root, whole):
    """The share of wrong pixels of each mask."""
    return [(read_labels(path) != whole[path.stem]).mean() for path in masks(root)]


def test_colours_in_jpeg_become_the_nearest_colour_of_the_table(tmp_path):
    root = clean(tmp_path / "data")
    colours = np.array([(0, 0, 0), (0, 200, 0), (250, 10, 10)], np.uint8)
    whole = in_jpeg(root, lambda labels: (labels, colours[labels]))
    with pytest.raises(OptionError, match=r"label_colors\.txt"):
        mended(examine(root), tmp_path / "out")
    (root / "label_colors.txt").write_text("0 0 0 ground\n0 200 0 crop\n250 10 10 weed\n")
    _, out, again = mend(root)
    assert again.sound
    assert max(wrong(out, whole)) < 0.03


def test_black_and_white_in_jpeg_are_two_classes(tmp_path):
    root = clean(tmp_path / "data")
    (root / "codes.txt").write_text("ground\nplant\n")
    whole = in_jpeg(root, lambda labels: ((labels > 0).astype(np.uint8), (labels > 0).astype(np.uint8) * 255))
    _, out, again = mend(root)
    assert again.sound
    assert max(wrong(out, whole)) < 0.01


def test_a_palette_is_read_by_its_places_and_the_remedy_says_so(tmp_path):
    root = clean(tmp_path / "data")
    for path in masks(root):
        write_labels(path, read_labels(path), [(9, 9, 9), (200, 0, 0), (0, 200, 0)])
    assert checked(root).findings == ()
    for path in masks(root)[:2]:
        write_labels(path, read_labels(path) + 30, [(number, 0, 0) for number in range(40)])
    (finding,) = checked(root).findings
    assert finding.check == "unknown_ids"
    assert "by_colour=True" in finding.remedy
    assert "palette" in finding.remedy


# -- objects --------------------------------------------------------------------------------------------------------------------


def numbered(root: Path) -> Path:
    """Masks that number 3 to 8 objects, and no class file."""
    for path in masks(clean(root)):
        count = 3 + int(path.stem[1:]) % 6
        labels = np.zeros(SIZE, np.uint8)
        for number in range(count):
            labels[10:30, 2 + 9 * number : 8 + 9 * number] = number + 1
        write_labels(path, labels)
    (root / "codes.txt").unlink()
    return root


@pytest.mark.parametrize("how", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:60])], ids=["gone", "corrupt"])
def test_objects_stay_objects_where_a_mask_is_lost(how, tmp_path):
    root = numbered(tmp_path / "data")
    whole = {record.key: data.segments for record, data in zip(open_dataset(root).records, open_dataset(root), strict=True)}
    how(masks(root)[1])
    _, out, again = mend(root)
    assert again.sound
    copy = open_dataset(out)
    assert copy.classes.names == ("object",)
    assert len(copy) == 11
    for record, sample in zip(copy.records, copy, strict=True):
        np.testing.assert_array_equal(sample.segments.ids, whole[record.key].ids)


def test_objects_of_several_classes_are_refused_before_a_byte_is_written(tmp_path):
    root = tmp_path / "data"
    written("voc")(root)
    (root / "SegmentationObject").mkdir()
    for path in (root / "SegmentationClass").iterdir():
        write_labels(root / "SegmentationObject" / path.name, np.where(read_labels(path) > 0, 1 + np.arange(80) // 20, 0))
    classes = json.loads((root / "classes.json").read_text())
    (root / "classes.json").write_text(json.dumps(classes | {"things": ["crop", "weed"]}))
    first, second = sorted((root / "JPEGImages").iterdir())[:2]
    second.write_bytes(first.read_bytes())
    with pytest.raises(OptionError, match=r"one segment of each class in an image.*objects=False"):
        mended(examine(root), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    _, _, again = mend(root, objects=False)
    assert again.sound


def test_a_class_map_of_another_size_than_its_objects_is_told_once_and_left_out(tmp_path):
    root = tmp_path / "data"
    written("voc")(root)
    classes = json.loads((root / "classes.json").read_text())
    (root / "classes.json").write_text(json.dumps(classes | {"things": ["crop", "weed"]}))
    (root / "SegmentationObject").mkdir()
    maps = sorted((root / "SegmentationClass").iterdir())
    for path in maps:
        shutil.copy(path, root / "SegmentationObject")
    write_labels(maps[0], read_labels(maps[0])[::2, ::2])
    report, out, again = mend(root)
    assert report.errors == ("differing_sizes",)
    assert again.sound
    assert len(open_dataset(out)) == 11


# -- interpolation --------------------------------------------------------------------------------------------------------------


def test_interpolated_borders_are_mended_to_within_a_pixel(tmp_path):
    values = np.array([0, 80, 200], np.uint8)
    whole = {path.name: values[read_labels(path)] for path in masks(clean(tmp_path / "data"))}
    interpolated_masks(tmp_path / "data")
    _, out, again = mend(tmp_path / "data")
    assert again.sound
    for path in masks(out):
        true, labels = whole[path.name], read_labels(path)
        assert set(np.unique(labels)) == {0, 80, 200}
        square = np.ones((3, 3), np.uint8)
        inside = cv2.erode(true, square) == cv2.dilate(true, square)
        np.testing.assert_array_equal(labels[inside], true[inside])
        assert (labels != true).mean() < 0.03


def test_interpolation_between_known_ids_may_be_right_and_stays(tmp_path):
    root = clean(tmp_path / "data")
    for path in masks(root):
        labels = np.where(read_labels(path) > 0, 2, 0).astype(np.uint8)
        write_labels(path, cv2.resize(labels[::2, ::2], SIZE[::-1], interpolation=cv2.INTER_LINEAR))
    report, out, again = mend(root)
    assert [finding.check for finding in report.findings] == ["doubtful_borders"]
    assert again.sound
    assert [path.read_bytes() for path in masks(out)] == [path.read_bytes() for path in masks(root)]


def known_between(root):
    interpolated_masks(root)
    classes = json.loads((root / "classes.json").read_text())
    (root / "classes.json").write_text(json.dumps([*classes, {"name": "d", "id": 20}]))


def no_class_file(root):
    interpolated_masks(root)
    (root / "classes.json").unlink()


@pytest.mark.parametrize("dirty", [known_between, no_class_file], ids=lambda dirty: dirty.__name__)
def test_interpolation_that_made_ids_of_classes_is_refused(dirty, tmp_path):
    root = clean(tmp_path / "data")
    dirty(root)
    assert "interpolated_masks" in examine(root).errors
    with pytest.raises(OptionError, match="Export anew"):
        mended(examine(root), tmp_path / "out")


# -- truth ----------------------------------------------------------------------------------------------------------------------


def test_a_test_split_without_masks_is_sound_and_kept(tmp_path):
    root = clean(tmp_path / "data")
    for path in images(root)[:3]:
        write_image(root / "images/test" / f"t{path.name}", 255 - read_image(path))
    assert [finding.check for finding in checked(root).findings] == ["unlabelled_test"]
    unknown_ids(root)
    _, out, again = mend(root)
    assert again.sound
    assert len(open_dataset(out).split("test")) == 3


def boxes_alone(root):
    write_image(root / "images/1.png", np.zeros((32, 48, 3), np.uint8))
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 9, 9], "area": 81, "segmentation": []}
    listed = [{"id": 1, "file_name": "1.png", "width": 48, "height": 32}]
    content = {"images": listed, "annotations": [entry], "categories": [{"id": 1, "name": "a"}]}
    (root / "instances.json").write_text(json.dumps(content))


def blank_rows(root):
    write_image(root / "a.png", np.zeros((32, 48, 3), np.uint8))
    (root / "metadata.csv").write_text("file_name,mask_file_name\na.png,\n")
    (root / "codes.txt").write_text("ground\ncrop\n")


def no_masks(root):
    shutil.rmtree(clean(root) / "masks")


@pytest.mark.parametrize("dirty", [boxes_alone, blank_rows, no_masks], ids=lambda dirty: dirty.__name__)
def test_data_without_usable_truth_is_not_sound(dirty, tmp_path):
    dirty(tmp_path)
    report = examine(tmp_path, format="mask_folder" if dirty is no_masks else None)
    assert [finding.check for finding in report.findings if finding.severity == "error"] == ["no_truth"]
