"""Files and lists that readers of formats once left out, or put where they do not belong, in silence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from _trees import picture
from intarsia.core.catalogue import find
from intarsia.core.errors import DatasetNotFound, LabelError, PairingError, UnreadableFile
from intarsia.data.dicom_files import as_bytes, ct_slice
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


def raster(path, array, nodata=None):
    rasterio = pytest.importorskip("rasterio")
    path.parent.mkdir(parents=True, exist_ok=True)
    grid = {"crs": "EPSG:32632", "transform": rasterio.Affine(1, 0, 500000, 0, -1, 5e6), "nodata": nodata}
    with rasterio.open(path, "w", driver="GTiff", width=8, height=6, count=1, dtype=array.dtype, **grid) as file:
        file.write(array[None])


def geotiff(root, *keys, suffix=".tif", dtype="uint8", nodata=None):
    """Rasters, and ids of which the first row is 0, the second 1, and the rest 2."""
    for key in keys:
        ids = np.minimum(np.arange(6), 2)[:, None].repeat(8, axis=1)
        raster(root / "images" / f"{key}{suffix}", picture(0, (6, 8))[..., 0])
        raster(root / "labels" / f"{key}{suffix}", ids.astype(dtype), nodata)
    return root


@pytest.mark.parametrize("suffix", [".tif", ".TIF", ".Tiff"])
def test_geotiff_in_sub_folders_and_upper_case(suffix, tmp_path):
    data = open_dataset(geotiff(tmp_path, "north/a", "b", suffix=suffix))
    assert (data.format, data.keys) == ("geotiff", ["b", "north/a"])
    assert data[1].segments.areas.tolist() == [8, 8, 32]


def test_geotiff_a_label_without_image(tmp_path):
    (geotiff(tmp_path, "north/a", "b") / "images" / "b.tif").unlink()
    with pytest.raises(PairingError, match=r"labels/b.tif: expected an image of its name in .*images, received none"):
        open_dataset(tmp_path)


def test_geotiff_nodata_of_a_label_is_void_unless_it_is_a_class(tmp_path):
    data = open_dataset(geotiff(tmp_path, "a", nodata=2))
    assert data.classes.names == ("label 0", "label 1")
    assert data[0].segments.void.sum() == 32
    (tmp_path / "codes.txt").write_text("a\nb\nc\n")
    assert open_dataset(tmp_path)[0].segments.areas.tolist() == [8, 8, 32]


@pytest.mark.parametrize("nodata", [None, np.nan])
def test_geotiff_ids_as_float(nodata, tmp_path):
    data = open_dataset(geotiff(tmp_path, "a", dtype="float32", nodata=nodata))
    assert data.classes.names == ("label 0", "label 1", "label 2")
    assert data[0].segments.areas.tolist() == [8, 8, 32]
    raster(tmp_path / "labels" / "a.tif", np.full((6, 8), 0.5, np.float32))
    with pytest.raises(LabelError, match=r"a.tif: expected whole numbers, received fractions"):
        open_dataset(tmp_path)


def test_a_broken_tiff_is_no_geotiff_and_no_traceback(tmp_path):
    geotiff(tmp_path, "a")
    (tmp_path / "images" / "a.tif").write_bytes(b"II*\0garbage")
    (tmp_path / "codes.txt").write_text("a\nb\nc\n")
    with pytest.raises(UnreadableFile):
        open_dataset(tmp_path)[0]


@pytest.mark.parametrize(("name", "text"), [("metadata.jsonl", b"[1, 2]\n"), ("metadata.csv", b"name,caf\xe9\n1,2\n")])
def test_a_table_of_something_else_beside_masks(name, text, tmp_path):
    (mask_folder(tmp_path, "a") / name).write_bytes(text)
    assert open_dataset(tmp_path).format == "mask_folder"
    with pytest.raises(DatasetNotFound, match="expected metadata.csv"):
        open_dataset(tmp_path, format="image_folder")


def test_image_folder_of_paths_elsewhere(tmp_path):
    mask_folder(tmp_path / "files", "a", "b")
    rows = ["../files/images/a.png,../files/masks/a.png", f"{tmp_path}/files/images/b.png,{tmp_path}/files/masks/b.png"]
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "metadata.csv").write_text("\n".join(["file_name,mask_file_name", *rows]))
    (tmp_path / "set" / "codes.txt").write_text("sky\nroad\n")
    data = open_dataset(tmp_path / "set")
    assert data.keys == ["files/images/a", f"{tmp_path}/files/images/b".removeprefix("/")]
    assert all(sample.segments is not None for sample in data)


@pytest.mark.parametrize("text", [b"", b"Idx\tName\n1\tcaf\xe9\n"])
def test_ade20k_names_that_are_none(text, tmp_path):
    write_image(tmp_path / "images" / "training" / "a.png", picture(0))
    (tmp_path / "objectInfo150.txt").write_bytes(text)
    with pytest.raises(LabelError, match="objectInfo150.txt: expected a line of column names"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("size", [{}, {"imageHeight": 12, "imageWidth": 16}])
def test_labelme_names_with_brackets_and_a_mark_of_bytes(size, tmp_path):
    write_image(tmp_path / "a[1].png", picture(0))
    shape = {"label": "cat", "points": [[1, 1], [9, 1], [9, 9]]}
    (tmp_path / "a[1].json").write_text(json.dumps({"shapes": [shape], "imagePath": "x"} | size))
    (tmp_path / "labels.txt").write_bytes("\ufeff__ignore__\ncat\n".encode())
    data = open_dataset(tmp_path)
    assert (data.format, data.classes.names) == ("labelme", ("cat",))
    assert len(data[0].segments) == 1
    (tmp_path / "labels.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(LabelError, match="labels.txt: expected a name on each line, in UTF-8"):
        open_dataset(tmp_path)


def test_dicom_upper_case_and_without_its_kind(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    for number in range(2):
        file = tmp_path / f"{number}.DCM"
        file.write_bytes(as_bytes(ct_slice(np.full((4, 5), number, np.int16), "a", number, None)))
    tags = pydicom.dcmread(file)
    del tags.SOPClassUID
    tags.save_as(file)
    data = open_dataset(tmp_path)
    assert data.format == "dicom"
    assert data[0].image[:, 0, 0, 0].tolist() == [0, 1]


def test_geotiff_with_masks_of_another_kind(tmp_path):
    (geotiff(tmp_path, "a") / "labels" / "a.tif").unlink()
    write_labels(tmp_path / "labels" / "a.png", np.zeros((6, 8), np.uint8))
    (tmp_path / "codes.txt").write_text("sky\n")
    with pytest.raises(
        PairingError, match="labels: expected labels as GeoTIFF or GeoJSON, received other pictures. format='mask_fo"
    ):
        open_dataset(tmp_path)
    assert open_dataset(tmp_path, format="mask_folder")[0].segments.areas.tolist() == [48]


def test_geotiff_looks_like_itself_though_its_files_do_not_pair(tmp_path):
    (geotiff(tmp_path, "a") / "images" / "a.TIFF").write_bytes((tmp_path / "images" / "a.tif").read_bytes())
    assert find("data.formats", "geotiff").detect(tmp_path) == "images/a.TIFF has a place on Earth"
    with pytest.raises(PairingError, match=r"expected one file named a\.\*"):
        open_dataset(tmp_path)


def test_cityscapes_train_ids_where_there_are_no_others(tmp_path):
    ids = np.array([[0, 0, 13, 255]] * 4, np.uint8)
    write_image(tmp_path / "leftImg8bit" / "train" / "ulm" / "a_leftImg8bit.png", picture(0, (4, 4)))
    file = tmp_path / "gtFine" / "train" / "ulm" / "a_gtFine_labelTrainIds.png"
    write_labels(file, ids)
    data = open_dataset(tmp_path)
    segments = data[0].segments
    assert [data.classes.names[index] for index in segments.classes] == ["road", "car"]
    assert segments.areas.tolist() == [8, 4]
    assert segments.void.sum() == 4
    with pytest.raises(LabelError, match="expected labelIds for labels='all', received labelTrainIds alone"):
        open_dataset(tmp_path, labels="all")
    write_labels(file.with_name("a_gtFine_instanceIds.png"), np.array([[7, 7, 26001, 0]] * 4, np.uint16))
    assert open_dataset(tmp_path)[0].segments == segments
    write_labels(file.with_name("a_gtFine_labelIds.png"), np.full((4, 4), 8, np.uint8))
    assert open_dataset(tmp_path, objects=False)[0].segments.areas.tolist() == [16]


def series(folder, values, *, key="a", gap=2.0):
    pytest.importorskip("pydicom")
    folder.mkdir(parents=True)
    for number, value in enumerate(values):
        array = np.full((4, 5), value, np.int16)
        (folder / f"{number}.dcm").write_bytes(as_bytes(ct_slice(array, key, number, (gap, 1.0, 1.0))))


@pytest.mark.parametrize("places", ["images/{}", "{}/images", "{}"])
def test_dicom_a_series_as_label(places, tmp_path):
    for case in ("x", "y"):
        series(tmp_path / places.format(case), [100, 200, 300], key=case)
        series(tmp_path / "labels" / case, [0, 3, 3], key=case)
    data = open_dataset(tmp_path)
    assert data.keys == [places.format(case) for case in ("x", "y")]
    assert data.classes.names == ("background", "label 3")
    assert data[1].image[:, 0, 0, 0].tolist() == [100, 200, 300]
    assert data[1].segments.semantic(2)[:, 0, 0].tolist() == [0, 1, 1]
    assert open_dataset(tmp_path, slices=True)[4].segments.semantic(2).tolist() == [[1] * 5] * 4


def test_dicom_a_label_series_on_other_planes(tmp_path):
    series(tmp_path / "images" / "x", [100, 200, 300])
    series(tmp_path / "labels" / "x", [0, 3, 3], gap=2.5)
    with pytest.raises(PairingError, match="expected labels on the planes of one series of images, received 1 series beside it, 0"):
        open_dataset(tmp_path)
