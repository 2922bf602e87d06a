"""Bad input: each a short error that names the file, what was expected, what was received and what to do, before any training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from _trees import mask, mask_tree, picture, write_jpeg
from intarsia.core.errors import DataError, DatasetNotFound, LabelError, OptionError, PairingError, UnreadableFile
from intarsia.data.images import write_image, write_labels
from intarsia.data.open import detect, open_dataset


def missing_mask(root: Path, stem: str) -> str:
    (root / "masks" / f"{stem}.png").unlink()
    return f"images/{stem}.png: expected a mask {root}/masks/{stem} (.png, .tif, .npy ...), received none. Add it"


def missing_image(root: Path, stem: str) -> str:
    (root / "images" / f"{stem}.png").unlink()
    return f"masks/{stem}.png: expected an image {root}/images/{stem}.*, received none"


def two_images_of_one_name(root: Path, stem: str) -> str:
    write_jpeg(root / "images" / f"{stem}.jpg", picture(1))
    return f"images/{stem}.png: expected one file named {stem}.*, received {stem}.jpg too. Remove one"


def sizes_that_differ(root: Path, stem: str) -> str:
    write_labels(root / "masks" / f"{stem}.png", mask(1, size=(12, 20)))
    return f"masks/{stem}.png: expected the size of its image {root}/images/{stem}.png, 16x12 (width x height), received 20x12 ("


def a_turned_photograph(root: Path, stem: str) -> str:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees to see it upright
    (root / "images" / f"{stem}.png").unlink()
    Image.fromarray(picture(1, size=(16, 12))).save(root / "images" / f"{stem}.jpg", exif=exif)
    write_labels(root / "masks" / f"{stem}.png", mask(1, size=(16, 12)))
    return "16x12 (width x height), received 12x16 (width x height). The image was turned upright by its EXIF"


def colours_for_ids(root: Path, stem: str) -> str:
    write_image(root / "masks" / f"{stem}.png", picture(1))
    return (
        f"masks/{stem}.png: expected one class id per pixel (single channel), received 3 channels. If its colours stand for classes"
    )


def ids_beyond_the_classes(root: Path, stem: str) -> str:
    ids = mask(1)
    ids[0, :4] = [7, 8, 9, 200]
    write_labels(root / "masks" / f"{stem}.png", ids)
    return f"masks/{stem}.png: expected ids of the 3 classes (0..2), void (255), received 7..9, 200. Add the"


def a_truncated_jpeg(root: Path, stem: str) -> str:
    (root / "images" / f"{stem}.png").unlink()
    size = write_jpeg(root / "images" / f"{stem}.jpg", picture(1), keep=0.7).stat().st_size
    return f"images/{stem}.jpg: expected a whole image file, received a corrupt or truncated one ({size} bytes). Copy it anew"


def a_truncated_mask(root: Path, stem: str) -> str:
    path = root / "masks" / f"{stem}.png"
    path.write_bytes(path.read_bytes()[:60])
    return f"masks/{stem}.png: expected a whole image file, received a corrupt or truncated one (60 bytes)"


def other_channels(root: Path, stem: str) -> str:
    write_image(root / "images" / f"{stem}.png", picture(1, channels=4))
    first, other = (4, 3) if stem == "a" else (3, 4)
    other_stem = "b" if stem == "a" else stem
    wanted = f"{first} channels of uint8 as in {root}/images/a.png"
    return f"images/{other_stem}.png: expected {wanted}, received {other} of uint8. Save all"


def other_depth(root: Path, stem: str) -> str:
    write_image(root / "images" / f"{stem}.png", picture(1).astype("uint16") * 257)
    first, other = ("uint16", "uint8") if stem == "a" else ("uint8", "uint16")
    other_stem = "b" if stem == "a" else stem
    return f"images/{other_stem}.png: expected 3 channels of {first} as in {root}/images/a.png, received 3 of {other}. Save all"


def void_everywhere(root: Path, stem: str) -> str:
    for name in "abc":
        write_labels(root / "masks" / f"{name}.png", np.full((12, 16), 255))
    return f"{root}: expected labelled pixels, received void everywhere"


def no_masks(root: Path, stem: str) -> str:
    for name in "abc":
        (root / "masks" / f"{name}.png").unlink()
    return "images/a.png: expected a mask, received none. Name the mask folder"


def a_class_file_with_a_gap(root: Path, stem: str) -> str:
    (root / "codes.txt").write_text("sky\n\ncar\n")
    return "codes.txt: expected names, or 'id name', one per line (.txt);"


def a_binary_class_file(root: Path, stem: str) -> str:
    (root / "codes.txt").write_bytes(b"\xff\xfe\x00\x9d")
    return "codes.txt: expected names, or 'id name', one per line (.txt);"


@pytest.mark.parametrize("stem", ["a", "b"])
@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (missing_mask, PairingError),
        (missing_image, PairingError),
        (two_images_of_one_name, PairingError),
        (sizes_that_differ, PairingError),
        (a_turned_photograph, PairingError),
        (colours_for_ids, LabelError),
        (ids_beyond_the_classes, LabelError),
        (a_truncated_jpeg, UnreadableFile),
        (a_truncated_mask, UnreadableFile),
        (other_channels, PairingError),
        (other_depth, PairingError),
        (void_everywhere, LabelError),
        (no_masks, PairingError),
        (a_class_file_with_a_gap, LabelError),
        (a_binary_class_file, LabelError),
    ],
)
def test_what_is_wrong_with_the_files_is_said_before_training(harm, kind, stem, tmp_path):
    expected = harm(mask_tree(tmp_path), stem)
    with pytest.raises(kind) as caught:
        open_dataset(tmp_path).check()
    text = str(caught.value)
    assert expected in text
    assert text.startswith(str(tmp_path))
    assert len(text) < 500
    assert isinstance(caught.value, DataError)


def test_a_sound_folder_passes(tmp_path):
    open_dataset(mask_tree(tmp_path)).check()


def test_the_first_of_several_errors_is_always_the_same(tmp_path):
    mask_tree(tmp_path)
    for name in "bc":
        write_image(tmp_path / "masks" / f"{name}.png", picture(1))
    for _ in range(5):
        with pytest.raises(LabelError, match=r"b\.png"):
            open_dataset(tmp_path).check(threads=4)


def test_an_empty_folder(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DatasetNotFound) as caught:
        open_dataset(tmp_path)
    assert f"{tmp_path / 'images'}: expected images, received an empty folder. Kinds read: .png, .jpg" in str(caught.value)
    (tmp_path / "images" / "a.heic").write_bytes(b"")
    with pytest.raises(DatasetNotFound, match=r"images: expected images, received other files. Kinds read: .png, .jpg"):
        open_dataset(tmp_path, classes=["a"])


def test_what_is_no_image_in_the_image_folder_is_passed_over(tmp_path):
    mask_tree(tmp_path)
    for name in ("README.md", "Thumbs.db"):
        (tmp_path / "images" / name).write_text("")
    assert open_dataset(tmp_path).keys == ["a", "b", "c"]


def test_a_label_of_the_turned_size_of_a_png_has_nothing_to_do_with_exif(tmp_path):
    write_labels(mask_tree(tmp_path) / "masks" / "b.png", mask(1, size=(16, 12)))
    with pytest.raises(PairingError, match=r"received 12x16 \(width x height\)$"):
        open_dataset(tmp_path).check()


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DatasetNotFound, match=r"a.png: expected a folder, received a file. Open its folder"):
        open_dataset(tmp_path / "a.png")


def test_no_such_split(tmp_path):
    mask_tree(tmp_path)
    (tmp_path / "valid.txt").write_text("b\n")
    data = open_dataset(tmp_path)
    with pytest.raises(OptionError, match=r"split 'tran' of .*: expected a split that is there. Did you mean 'train'\?"):
        data.split("tran")
    assert data.split("validation").keys == ["b"]


def test_two_formats_at_once_ask_for_one(tmp_path):
    mask_tree(tmp_path)
    for name in ("train", "trainannot", "JPEGImages", "SegmentationClass"):
        (tmp_path / name).mkdir()
    with pytest.raises(OptionError, match=r"expected one format, received camvid: .*voc: .*format='camvid'"):
        open_dataset(tmp_path)
    assert len(open_dataset(tmp_path, format="mask_folder")) == 3


def test_a_general_format_leaves_a_folder_to_one_that_knows_more(tmp_path):
    mask_tree(tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "trainannot").mkdir()
    assert detect(tmp_path) == ("camvid", "train/ and trainannot/")
    assert open_dataset(tmp_path, format="mask_folder").why == "named by the caller"


@pytest.mark.parametrize("plain", [{"labels": ["a"]}, 3, [{"id": 0}], {"names": []}, {"names": ["a"], "ids": [0, 1]}, ["a", "a"]])
def test_a_classes_json_that_is_none(plain, tmp_path):
    mask_tree(tmp_path)
    (tmp_path / "classes.json").write_text(json.dumps(plain))
    with pytest.raises(LabelError, match=r"classes.json: expected names, .* received"):
        open_dataset(tmp_path)
