"""What the readers of formats refuse, and how they say so: each a fault that once went through in silence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from _trees import picture
from intarsia.core.errors import DatasetNotFound, LabelError, PairingError, UnreadableFile
from intarsia.data.images import write_image
from intarsia.data.open import open_dataset

SHAPE = (8, 9, 4)


def nifti(path, array, affine=None):
    nibabel = pytest.importorskip("nibabel")
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, affine), path)


def brain(root, *, image=None, label=None, suffix=".nii.gz"):
    """A volume and its label, each with an affine."""
    ids = np.zeros(SHAPE, np.uint8)
    ids[1:3, 1:3] = 1
    nifti(root / "images" / f"a{suffix}", np.arange(ids.size, dtype=np.int16).reshape(SHAPE), image)
    nifti(root / "labels" / f"a{suffix}", ids, label)
    return root


def test_nifti_a_label_that_lies_elsewhere(tmp_path):
    with pytest.raises(
        PairingError, match=r"a.nii.gz: expected the affine of its image, \[\[-1.0, .* Resample the label to the grid"
    ):
        open_dataset(brain(tmp_path, image=np.diag([-1, -1, 1, 1]), label=np.eye(4)))[0]


@pytest.mark.parametrize("label", [np.diag([-1, -1, 1.001, 1]), None])
def test_nifti_a_label_at_nearly_its_place_or_without_any(label, tmp_path):
    brain(tmp_path, image=np.diag([-1, -1, 1, 1]), label=label)
    assert open_dataset(tmp_path)[0].segments.areas.tolist() == [272, 16]


def channels(root, stems, folder="imagesTs", **told):
    for number, stem in enumerate(stems):
        nifti(root / folder / f"{stem}.nii.gz", np.full(SHAPE, number, np.int16))
    (root / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "tumour": 1}} | told))
    return root


@pytest.mark.parametrize(
    ("stems", "told", "keys"),
    [
        (["pat_0001", "pat_0002", "pat_0003"], {}, ["pat_0001", "pat_0002", "pat_0003"]),
        (["a_0000", "a_0001", "b_0000", "b_0001"], {"channel_names": {"0": "T1", "1": "T2"}}, ["a", "b"]),
        (["a_0000", "a_0001", "b_0000", "b_0001"], {}, ["a", "b"]),
        (["a_0000", "b_0000"], {"channel_names": {"0": "T1"}}, ["a", "b"]),
        (["pat_0001", "pat_0002"], {"modality": {"0": "T1", "1": "T2"}}, ["pat_0001", "pat_0002"]),  # in a file of four axes
    ],
)
def test_nifti_numbers_of_channels_and_of_patients(stems, told, keys, tmp_path):
    data = open_dataset(channels(tmp_path, stems, **told))
    assert data.keys == keys
    assert data[0].image.shape == (4, 9, 8, len(stems) // len(keys))


def test_nifti_labelled_patients_tell_what_the_numbers_are(tmp_path):
    for place in ("imagesTr", "labelsTr"):
        channels(tmp_path, ["pat_0000"], place)
    channels(tmp_path, ["new_0000", "new_0001"])
    assert open_dataset(tmp_path).keys == ["new_0000", "new_0001", "pat_0000"]


def test_nifti_a_channel_that_is_missing(tmp_path):
    channels(tmp_path, ["a_0000", "a_0001", "b_0000"], channel_names={"0": "T1", "1": "T2"})
    with pytest.raises(PairingError, match="expected b_0000 to b_0001, the 2 channels of dataset.json, received 0000"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("text", ["{bad", "[1]", '{"labels": {"tumour": "one"}}', '{"labels": ["tumour"]}'])
def test_nifti_a_dataset_json_that_is_broken(text, tmp_path):
    brain(tmp_path)
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(LabelError, match="dataset.json: expected"):
        open_dataset(tmp_path)


def test_nifti_files_that_are_none(tmp_path):
    brain(tmp_path, suffix=".nii")
    (tmp_path / "codes.txt").write_text("a\nb\n")
    nifti(tmp_path / "images" / "a.nii", np.zeros(SHAPE[:2], np.int16))
    with pytest.raises(UnreadableFile, match=r"a.nii: expected a volume of 3 axes, or 4 with channels, received \(8, 9\)"):
        open_dataset(tmp_path)[0]
    (tmp_path / "images" / "a.nii").write_bytes(b"garbage" * 100)
    with pytest.raises(UnreadableFile, match=r"a.nii: expected a NIfTI file"):
        open_dataset(tmp_path)[0]


def test_nifti_upper_case_and_a_label_of_four_axes(tmp_path):
    brain(tmp_path)
    (tmp_path / "codes.txt").write_text("a\nb\n")
    nifti(tmp_path / "labels" / "a.nii.gz", np.ones((*SHAPE, 1), np.uint8))
    for place in ("images", "labels"):
        (tmp_path / place / "a.nii.gz").rename(tmp_path / place / "a.NII.GZ")
    assert open_dataset(tmp_path)[0].segments.areas.tolist() == [288]


def test_nifti_a_damaged_archive(tmp_path):
    file = brain(tmp_path) / "images" / "a.nii.gz"
    nifti(file, np.random.default_rng(0).integers(0, 9, SHAPE).astype(np.int16))
    whole = file.read_bytes()
    file.write_bytes(whole[:200] + bytes(20) + whole[220:])
    with pytest.raises(UnreadableFile, match="a whole NIfTI file"):
        open_dataset(tmp_path)[0]


def test_nifti_masks_beside_images_and_a_case_in_two_folders(tmp_path):
    (brain(tmp_path) / "labels").rename(tmp_path / "masks")
    sample = open_dataset(tmp_path, format="nifti")[0]
    assert sample.image.shape[-1] == 1
    assert sample.segments.areas.tolist() == [272, 16]
    for place in ("imagesTr", "imagesTs"):
        channels(tmp_path, ["b"], place)
    with pytest.raises(PairingError, match=r"b.nii.gz: expected each case once, received .*imagesTr/b.nii.gz too"):
        open_dataset(tmp_path, format="nifti")


def panoptic(root, split="train", **wrong):
    """An image of one cat, its JSON with what is wrong."""
    write_image(root / "images" / split / f"{split}.png", picture(len(split), (4, 6)))
    write_image(root / "annotations" / f"panoptic_{split}" / f"{split}.png", np.full((4, 6, 3), (5, 0, 0), np.uint8))
    rows = [{"id": 5, "category_id": 1, "iscrowd": False}]
    content = {
        "images": [{"id": 1, "file_name": f"{split}.png", "width": 6, "height": 4}],
        "annotations": [{"image_id": 1, "file_name": f"{split}.png", "segments_info": rows}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    (root / "annotations" / f"panoptic_{split}.json").write_text(json.dumps(content | wrong))
    return root


def test_panoptic_categories_of_the_splits_differ(tmp_path):
    panoptic(panoptic(tmp_path), "val")
    assert [sample.segments.classes.tolist() for sample in open_dataset(tmp_path)] == [[0], [0]]
    panoptic(tmp_path, "val", categories=[{"id": 2, "name": "cat"}, {"id": 1, "name": "dog"}])
    with pytest.raises(LabelError, match=r"panoptic_val.json: expected the categories of .*panoptic_train.json"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"images": [{"id": 1, "file_name": "train.png"}] * 2}, "image id 1 more than once"),
        ({"categories": [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]}, "category id 1 more than once"),
        ({"categories": [{"id": 2, "name": "cat"}]}, "received category_id 1"),
        ({"images": [{"id": 3, "file_name": "train.png"}]}, "received image_id 1"),
        ({"annotations": [{"image_id": 1, "file_name": "train.png", "segments_info": []}] * 2}, "image id 1 more than once"),
        (
            {"annotations": [{"image_id": 1, "file_name": "train.png", "segments_info": [{"id": 5, "category_id": 1}] * 2}]},
            "train.png: expected a number above 0 for each segment, each once, received 5",
        ),
        (
            {"annotations": [{"image_id": 1, "file_name": "train.png", "segments_info": [{"id": 0, "category_id": 1}]}]},
            "train.png: expected a number above 0 for each segment, each once, received 0",
        ),
    ],
)
def test_panoptic_ids_that_are_wrong(wrong, text, tmp_path):
    with pytest.raises(LabelError, match=text):
        open_dataset(panoptic(tmp_path, **wrong))


def instances(root, *names, **object_):
    images = [{"id": number, "file_name": name, "width": 8, "height": 6} for number, name in enumerate(names)]
    for name in names:
        write_image(root / "images" / name, picture(0, (6, 8)))
    one = {"id": 1, "image_id": 0, "category_id": 1, "segmentation": [[1, 1, 4, 1, 4, 3, 1, 3]]}
    content = {"images": images, "annotations": [one | object_], "categories": [{"id": 1, "name": "cat"}]}
    (root / "instances.json").write_text(json.dumps(content))
    return root


@pytest.mark.parametrize("crowd", [True, False])
def test_coco_crowds_told_as_true_and_false(crowd, tmp_path):
    assert open_dataset(instances(tmp_path, "a.png", iscrowd=crowd))[0].segments.crowd.tolist() == [crowd]


def test_coco_two_images_of_one_key(tmp_path):
    with pytest.raises(PairingError, match=r"expected each image once, received 'a' for .*a.png and .*a.bmp"):
        open_dataset(instances(tmp_path, "a.png", "a.bmp"))


TRIANGLE = ".1 .1 .5 .1 .5 .5"


def yolo(root, text, *, yaml="names: [cat, dog]", labels="labels"):
    write_image(root / "images" / "train" / "a.png", picture(0, (10, 20)))
    (root / labels / "train").mkdir(parents=True, exist_ok=True)
    (root / labels / "train" / "a.txt").write_bytes(text.encode("latin-1"))
    (root / "data.yaml").write_text(f"train: images/train\n{yaml}\n")
    return root


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (f"7 {TRIANGLE}", r"class 7, where names are 0\.\.1"),
        (f"-1 {TRIANGLE}", "class -1"),
        (f"0.9 {TRIANGLE}", r"class 0\.9"),
        (f"nan {TRIANGLE}", "class nan"),
        ("0 5 5 30 5 30 20", "corners that are no shares"),
        ("0 nan .1 .5 .1 .5 .5", "corners that are no shares"),
        ("0 inf .1 .5 .1 .5 .5", "corners that are no shares"),
        ("0", "0 numbers"),
    ],
)
def test_yolo_lines_that_are_no_truth(line, text, tmp_path):
    with pytest.raises(LabelError, match=f"a.txt, line 2: expected .* received .*{text}"):
        open_dataset(yolo(tmp_path, f"1.0 0 0 1.005 0 .5 .5\n{line}\n"))[0]


def test_yolo_text_of_another_coding(tmp_path):
    with pytest.raises(LabelError, match="a.txt: expected text in UTF-8"):
        open_dataset(yolo(tmp_path, f"0 {TRIANGLE} \xe9\n"))[0]


@pytest.mark.parametrize("names", ["{a: 0, b: 1}", "{0: a, 2: b}", "", "cat"])
def test_yolo_names_that_are_none(names, tmp_path):
    with pytest.raises(LabelError, match="data.yaml: expected names: a list, or names by number from 0"):
        open_dataset(yolo(tmp_path, "", yaml=f"names: {names}"), format="yolo")


def test_yolo_a_data_yaml_that_is_broken(tmp_path):
    with pytest.raises(LabelError, match="data.yaml: expected YAML"):
        open_dataset(yolo(tmp_path, "", yaml="names: [cat"))


def test_yolo_labels_under_another_name(tmp_path):
    with pytest.raises(PairingError, match=r"data.yaml: expected beside images/ a folder labels/ .* received none for 1 images"):
        open_dataset(yolo(tmp_path, f"0 {TRIANGLE}\n", labels="label"))


@pytest.mark.parametrize("line", ["./images/val/b.png", "/elsewhere/set/images/val/b.png"])
def test_yolo_a_split_by_list(line, tmp_path):
    yolo(tmp_path, f"0 {TRIANGLE}\n", yaml="val: val.txt\nnames: [cat]")
    write_image(tmp_path / "images" / "val" / "b.png", picture(1, (10, 20)))
    (tmp_path / "labels" / "val").mkdir()
    (tmp_path / "labels" / "val" / "b.txt").write_text(f"0 {TRIANGLE}\n")
    (tmp_path / "val.txt").write_text(f"{line}\n")
    data = open_dataset(tmp_path)
    assert [(record.key, record.split) for record in data.records] == [("a", "train"), ("val/b", "val")]
    assert len(data[1].segments) == 1
    (tmp_path / "val.txt").unlink()
    with pytest.raises(DatasetNotFound, match=r"val: a folder of images, or a .txt that lists them, received val.txt"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("bare", [True, False])
def test_coco_boxes_alone_are_no_truth(bare, tmp_path):
    root = instances(tmp_path, "a.png", segmentation=None, id=7)
    if bare:
        (root / "instances.json").write_text((root / "instances.json").read_text().replace('"segmentation": null, ', ""))
    told = r"instances.json: expected a segmentation for each object, received none for 1, such as annotation 7 of image 0. Boxes"
    with pytest.raises(LabelError, match=told):
        open_dataset(root)


def test_geojson_without_the_property_tells_those_there_are(tmp_path):
    from intarsia.data.formats.geotiff import _coding

    shape = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    feature = {"type": "Feature", "properties": {"height": 3, "building": "yes"}, "geometry": shape}
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(LabelError, match="expected a property 'label', received only 'building', 'height'"):
        _coding(tmp_path, [tmp_path / "a.geojson"], "label", None, None)
