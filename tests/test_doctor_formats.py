"""The doctor on formats other than folders of masks: sizes told wrongly, images without truth, files left over."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import intarsia
from intarsia.core.catalogue import find
from intarsia.core.errors import CannotHold, OptionError, PairingError
from intarsia.data.examine import examine, mended
from intarsia.data.images import read_image, write_image
from test_formats_contract import CLASSES, KINDS, dataset


def found(root):
    return {finding.check: finding for finding in examine(root).findings}


def coco(root):
    intarsia.convert(intarsia.scenes(4, size=(32, 48)), root, "coco_instances", lose=("void",))
    return root / "annotations/instances_train.json"


def test_a_size_that_the_annotations_tell_wrongly_is_an_error_that_nothing_guesses_at(tmp_path):
    file = coco(tmp_path / "data")
    assert "annotated_sizes" not in found(tmp_path / "data")
    content = json.loads(file.read_text())
    for image in content["images"][:2]:
        image["width"], image["height"] = 96, 64
    for one in content["annotations"]:
        one["segmentation"] = [[1, 1, 9, 1, 9, 9, 1, 9]]  # run lengths would tell the size themselves
    file.write_text(json.dumps(content))
    finding = found(tmp_path / "data")["annotated_sizes"]
    assert (finding.severity, len(finding.keys)) == ("error", 2)
    assert "2 images of another size than the annotations tell: images/train/scene_00000.png is 48x32, annotated as 96x64" in (
        finding.message
    )
    assert finding.remedy.endswith("or export anew")
    with pytest.raises(OptionError, match="expected a data set with a mask file for each image, received coco_instances"):
        mended(examine(tmp_path / "data"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_annotations_of_an_image_as_the_sensor_saw_it_are_told_of_exif(tmp_path):
    file = coco(tmp_path)
    content = json.loads(file.read_text())
    for one in content["annotations"]:
        one["segmentation"] = [[1, 1, 9, 1, 9, 9, 1, 9]]
    path = tmp_path / "images/train" / content["images"][0]["file_name"]
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(read_image(path)).save(path.with_suffix(".jpg"), exif=exif)
    content["images"][0]["file_name"] = path.with_suffix(".jpg").name
    path.unlink()
    file.write_text(json.dumps(content))
    finding = found(tmp_path)["annotated_sizes"]
    assert "is 32x48, annotated as 48x32" in finding.message
    assert "EXIF turns some" in finding.remedy


def raster(path, array):
    rasterio = pytest.importorskip("rasterio")
    path.parent.mkdir(exist_ok=True, parents=True)
    profile = {
        "driver": "GTiff",
        "height": array.shape[1],
        "width": array.shape[2],
        "count": len(array),
        "dtype": "uint8",
        "crs": "EPSG:32616",
    }
    with rasterio.open(path, "w", **profile, transform=rasterio.Affine(0.5, 0, 700000, 0, -0.5, 3700000)) as file:
        file.write(array.astype(np.uint8))


def rasters(root, *names):
    for number, name in enumerate(names):
        image = np.random.default_rng(number).integers(0, 200, (3, 16, 16))
        raster(root / name, np.arange(256).reshape(1, 16, 16) // 128 if "mask" in name or "labels/" in name else image)
    return root


@pytest.mark.parametrize("names", [("a_rgb.tif", "a_mask.tif", "b_rgb.tif"), ("images/a.tif", "labels/a.tif", "images/b.tif")])
def test_a_raster_without_labels_beside_one_with_them_is_told(names, tmp_path):
    finding = found(rasters(tmp_path, *names))["missing_masks"]
    assert finding.severity == "error"
    assert finding.message == f"1 image without a mask: {names[-1]}"
    assert finding.remedy == "Add the mask, or remove the image"
    with pytest.raises(PairingError, match=r"expected a mask, received none. Add it, or remove the image"):
        intarsia.open_dataset(tmp_path).check()


def test_a_label_raster_on_another_grid_is_told(tmp_path):
    rasters(tmp_path, "a_rgb.tif", "a_mask.tif", "b_rgb.tif", "b_mask.tif")
    raster(tmp_path / "b_mask.tif", np.zeros((1, 8, 8)))
    finding = found(tmp_path)["differing_grids"]
    assert (finding.severity, finding.files) == ("error", ("b_mask.tif",))
    assert "b_mask.tif" in finding.message


def test_an_outline_of_two_points_is_told(tmp_path):
    file = coco(tmp_path)
    content = json.loads(file.read_text())
    content["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]
    file.write_text(json.dumps(content))
    told = found(tmp_path)
    assert told["unreadable_labels"].severity == "error"
    assert "x, y of three points" in told["unreadable_labels"].message


def test_a_png_of_segments_of_another_size_has_the_remedy_of_a_picture(tmp_path):
    intarsia.convert(intarsia.scenes(4, size=(32, 48)), tmp_path, "coco_panoptic")
    path = next((tmp_path / "annotations/panoptic_train").iterdir())
    write_image(path, read_image(path)[::2, ::2])
    finding = found(tmp_path)["annotated_sizes"]
    assert "is 48x32, annotated as 24x16" in finding.message
    assert finding.remedy == "Export the labels at the size of their images; resizing them needs nearest neighbour"


def test_rasters_that_no_name_pairs_are_told_and_not_the_others(tmp_path):
    root = rasters(tmp_path, "a_rgb.tif", "a_mask.tif")
    assert found(root) == {}
    assert intarsia.open_dataset(root).notes == ()
    rasters(root, "b_mask.tif")
    assert found(root)["unused_files"].message == "1 file is left out, for nothing tells what it belongs to: b_mask.tif"
    rasters(root, "b.tif")
    finding = found(root)["unused_files"]
    assert (finding.severity, finding.files) == ("warning", ("b.tif", "b_mask.tif"))
    assert intarsia.open_dataset(root).notes == ("Left out, for nothing tells what belongs to them: b.tif, b_mask.tif.",)
    assert set(found(root)) == {"unused_files"}


def test_an_image_of_labelme_without_a_file_is_told_and_one_of_yolo_has_no_object(tmp_path):
    scenes = intarsia.scenes(4, size=(32, 48))
    for to, lost in (("labelme", ("classes", "void", "nothing")), ("yolo", ("classes", "void"))):
        intarsia.convert(scenes, tmp_path / to, to, lose=lost)
    next((tmp_path / "labelme/train").glob("*.json")).unlink()
    next((tmp_path / "yolo/labels/train").glob("*.txt")).unlink()
    assert found(tmp_path / "labelme")["missing_masks"].message.startswith("1 image without a mask: train/scene_0")
    assert "missing_masks" not in found(tmp_path / "yolo")


def test_an_image_that_a_list_of_voc_names_may_lack_its_mask(tmp_path):
    intarsia.convert(intarsia.scenes(6, size=(32, 48)), tmp_path, "voc", lose=("void", "instances"))
    (tmp_path / "SegmentationClass/scene_00000.png").unlink()
    assert found(tmp_path)["missing_masks"].message == "1 image without a mask: JPEGImages/scene_00000.png"


def test_what_cannot_be_opened_has_no_images_to_count(tmp_path):
    file = coco(tmp_path)
    (tmp_path / "images/train" / json.loads(file.read_text())["images"][0]["file_name"]).unlink()
    lines = str(examine(tmp_path)).splitlines()
    assert lines[0].startswith(f"{tmp_path}: not opened, taken for coco_instances (")
    assert "  " not in lines


def written(name, root, splits=None, **options):
    """A small data set of a format, of objects where it holds any."""
    format = find("data.formats", name)
    for kind in ("objects", "objects and stuff", "a class for each pixel", "objects in volumes", "volumes"):
        for classes in CLASSES:
            try:
                format.write(dataset(KINDS[kind](len(classes)), classes, format, splits), root, **options)
                return intarsia.open_dataset(root)
            except CannotHold:
                continue
    raise AssertionError(name)


def left_over(root):
    finding = found(root)["unused_files"]
    assert (finding.severity, finding.remedy[:20]) == ("warning", "Add the other half, ")
    assert finding.message == f"1 file is left out, for nothing tells what it belongs to: {finding.files[0]}"
    return finding.files


@pytest.mark.parametrize("name", ["labelme", "yolo", "cityscapes", "nifti", "tiff_stack", "oxford_pet", "dicom", "object_masks"])
def test_a_label_whose_image_is_lost_is_told(name, tmp_path):
    record = written(name, tmp_path).records[0]
    for file in record.image.parent.glob("0*.dcm") if name == "dicom" else [record.image]:
        file.unlink()
    if name == "object_masks":
        record.image.parent.rmdir()
    assert left_over(tmp_path) == (record.label.relative_to(tmp_path).as_posix(),)


def test_a_mask_of_camvid_without_image_is_told_and_not_its_colours(tmp_path):
    record = written("camvid", tmp_path, layout="fastai").records[0]
    shutil.copy(record.label, record.label.with_stem(f"{record.key}_L"))
    record.image.unlink()
    assert left_over(tmp_path) == (f"labels/{record.key}_P.png",)


@pytest.mark.parametrize("options", [{"layout": "segnet"}, {"layout": "fastai"}, {}], ids=["segnet", "fastai", "ade20k"])
def test_of_lost_images_and_masks_all_are_told(options, tmp_path):
    first, second, third, *_ = written("camvid" if options else "ade20k", tmp_path, ("train",), **options).records
    first.image.unlink()
    second.label.unlink()
    third.label.unlink()
    told = found(tmp_path)
    assert told["missing_masks"].files == tuple(one.image.relative_to(tmp_path).as_posix() for one in (second, third))
    assert told["unused_files"].files == (first.label.relative_to(tmp_path).as_posix(),)
    assert "not_opened" not in told
    with pytest.raises(PairingError, match="expected a mask, received none. Add it, or remove the image"):
        intarsia.open_dataset(tmp_path).check()


@pytest.mark.parametrize("name", ["coco_instances", "coco_panoptic", "image_folder"])
def test_an_image_that_no_list_of_annotations_names_is_told(name, tmp_path):
    image = written(name, tmp_path).records[0].image
    shutil.copy(image, image.with_stem("stray"))
    assert left_over(tmp_path) == (image.with_stem("stray").relative_to(tmp_path).as_posix(),)


def test_a_mask_of_voc_without_image_is_told_and_not_an_image_without_mask(tmp_path):
    record = written("voc", tmp_path).records[0]
    shutil.copy(record.image, record.image.with_stem("other"))
    assert "unused_files" not in found(tmp_path)
    shutil.copy(record.label, record.label.with_stem("stray"))
    assert left_over(tmp_path) == ("SegmentationClass/stray.png",)
    assert intarsia.open_dataset(tmp_path).notes == ("Left out, for nothing tells what belongs to them: stray.png.",)


def test_a_pet_without_trimap_is_told(tmp_path):
    record = written("oxford_pet", tmp_path).records[0]
    record.label.unlink()
    assert left_over(tmp_path) == (f"images/{record.key}.png",)
    assert intarsia.open_dataset(tmp_path).notes == (f"Left out, for nothing tells what belongs to them: {record.key}.png.",)


@pytest.mark.parametrize("names", [("a_rgb.tif", "a_labels.geojson"), ("images/a.tif", "labels/a.geojson")])
def test_polygons_without_raster_are_told(names, tmp_path):
    rasters(tmp_path, names[0])
    shape = {"type": "Polygon", "coordinates": [[[-85, 33], [-84, 33], [-84, 34], [-85, 33]]]}
    feature = {"type": "Feature", "properties": {"label": "tree"}, "geometry": shape}
    label = tmp_path / names[1]
    label.parent.mkdir(exist_ok=True)
    label.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert "unused_files" not in found(tmp_path)
    stray = shutil.copy(label, label.with_name(label.name.replace("a", "b", 1)))
    assert left_over(tmp_path) == (stray.relative_to(tmp_path).as_posix(),)
    assert intarsia.open_dataset(tmp_path).notes == (f"Left out, for nothing tells what belongs to them: {stray.name}.",)
