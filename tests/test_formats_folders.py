"""Files and lists that readers of formats once left out, or put where they do not belong, in silence."""

from __future__ import annotations

import numpy as np
import pytest

from _trees import picture
from intarsia.core.catalogue import find
from intarsia.core.errors import LabelError, PairingError
from intarsia.data.images import write_image, write_labels
from intarsia.data.open import open_dataset


def mask_folder(root, *keys):
    for number, key in enumerate(keys):
        write_image(root / "images" / f"{key}.png", picture(number))
        write_labels(root / "masks" / f"{key}.png", np.eye(12, 16, dtype=np.uint8))
    (root / "codes.txt").write_text("sky\nroad\n")
    return root


def test_folders_that_are_links(tmp_path):
    mask_folder(tmp_path / "elsewhere", "c")
    mask_folder(tmp_path / "data", "a")
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind / "city").symlink_to(tmp_path / "elsewhere" / kind)
        (tmp_path / "data" / kind / "circle").symlink_to(tmp_path / "data")
    assert open_dataset(tmp_path / "data").keys == ["a", "city/c"]


def test_a_folder_that_is_called_like_an_image(tmp_path):
    (mask_folder(tmp_path, "a") / "images" / "b.png").mkdir()
    assert open_dataset(tmp_path).keys == ["a"]


@pytest.mark.parametrize("line", ["/data/set/images/a/1.png", "a/1", "C:\\set\\a\\1.png", "a/1.png 7"])
def test_lists_name_images_by_the_longest_end_of_their_path(line, tmp_path):
    mask_folder(tmp_path, "a/1", "b/1", "a/2")
    (tmp_path / "val.txt").write_text(f"{line}\n")
    data = open_dataset(tmp_path)
    assert {record.key: record.split for record in data.records} == {"a/1": "val", "a/2": "train", "b/1": "train"}


def test_lists_that_do_not_tell_which_image(tmp_path):
    mask_folder(tmp_path, "a/1", "b/1")
    (tmp_path / "val.txt").write_text("1.png\n")
    with pytest.raises(
        PairingError, match=r"val.txt: expected the name of one image on each line, received 1.png, which \['a/1', 'b/1'\]"
    ):
        open_dataset(tmp_path)
    (tmp_path / "val.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(LabelError, match="val.txt: expected names of images in UTF-8"):
        open_dataset(tmp_path)


def test_masks_named_by_a_rule_in_upper_case(tmp_path):
    (mask_folder(tmp_path, "a") / "masks" / "a.png").rename(tmp_path / "masks" / "a_M.PNG")
    assert open_dataset(tmp_path, rule="{stem}_M.png")[0].segments is not None


def voc(root):
    for number, suffix in enumerate((".png", ".PNG")):
        write_image(root / "JPEGImages" / f"{number}.png", picture(number))
        ids = np.zeros((12, 16), np.uint8)
        ids[2:4] = 15
        for folder in ("SegmentationClass", "SegmentationObject"):
            write_labels(root / folder / f"{number}{suffix}", ids)
            ids[3] = 14
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("0\n1\n")
    return root


def test_voc_upper_case(tmp_path):
    data = open_dataset(voc(tmp_path))
    assert data.keys == ["0", "1"]
    assert data[0].segments == data[1].segments
    assert len(data[0].segments) == 3


def test_voc_an_image_in_two_lists(tmp_path):
    (voc(tmp_path) / "ImageSets" / "Segmentation" / "val.txt").write_text("1\n")
    with pytest.raises(PairingError, match="val.txt: expected each image in one list, received 1 also in train"):
        open_dataset(tmp_path)


def test_folders_written_have_the_mode_of_new_folders(tmp_path):
    data = open_dataset(mask_folder(tmp_path / "a", "1"))
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    (tmp_path / "open" / "plain").mkdir()
    find("data.formats", "mask_folder").write(data, tmp_path / "open" / "out")
    assert (tmp_path / "open" / "out").stat().st_mode == (tmp_path / "open" / "plain").stat().st_mode
    (tmp_path / "link").symlink_to(tmp_path / "open" / "plain")
    find("data.formats", "mask_folder").write(data, tmp_path / "link")
    assert open_dataset(tmp_path / "link").keys == ["1"]
