"""The files that `intarsia predict` leaves of instances and of panoptic segments, read back by us and by COCO's own code."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from intarsia.core import ClassSet, Segments
from intarsia.core.errors import DataError, OptionError
from intarsia.data.images import read_labels
from intarsia.data.open import open_dataset
from intarsia.engine.network import Model
from intarsia.engine.predicting import predict_files
from intarsia.ops.packing import pack

STREET = ClassSet(("road", "car", "person"), ((128, 64, 128), (0, 0, 200), (220, 20, 60)), things=("car", "person"), nothing=True)
SIZE = (40, 60)


class Answering(Model):
    """A network that knows its answers by the image's first pixel."""

    def __init__(self, task, answers, classes=STREET):
        self.recipe, self.answers = SimpleNamespace(task=task, classes=classes), answers

    def __call__(self, image):
        answer = self.answers[int(image[0, 0, 0])]
        if answer is None:
            raise DataError("image", expected="three channels")
        return answer


def cars():
    """Three that overlap, the last unsure."""
    masks = np.zeros((3, *SIZE), bool)
    masks[0, 5:20, 5:30] = masks[1, 10:30, 20:45] = masks[2, 30:38, 2:20] = True
    masks[0, 8:10, 8:10] = False  # a window
    return pack(masks, [1, 2, 1], scores=[1, 0.625, 0.3])


def street():
    """Road, two cars and a person; the sky is no class."""
    ids = np.zeros((1, *SIZE), int)
    ids[0, 20:] = 1
    ids[0, 15:30, 5:20], ids[0, 15:30, 20:40], ids[0, 10:35, 50:55] = 2, 3, 4
    return Segments(ids, [0, 1, 1, 2, 1], scores=[1, 0.75, 0.5, 0.3, 0.9])  # the last row has no pixel


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(("a", "b")):
        Image.fromarray(np.full((*SIZE, 3), number, np.uint8)).save(folder / f"{name}.png")
    return folder


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# -- instances ---------------------------------------------------------------------------------------------------------------------


def test_instances_are_a_map_a_picture_a_table_and_a_coco_file(photos, tmp_path):
    out = tmp_path / "out"
    maps = predict_files(Answering("instance", [cars(), Segments.empty(SIZE)]), [photos], out)
    assert [path.name for path in maps] == ["a.png", "b.png"]
    assert names(out) == ["a.png", "a_overlay.png", "b.png", "b_overlay.png", "instances.json", "objects.csv"]
    ids = read_labels(maps[0])
    assert ids.dtype == np.uint16
    assert np.array_equal(ids == 1, cars().mask(0))  # the surer one
    assert np.array_equal(ids == 2, cars().mask(1) & ~cars().mask(0))
    assert not read_labels(maps[1]).any()
    rows = table(out / "objects.csv")
    assert [(row["image"], row["object"], row["class"], row["score"], row["pixels"]) for row in rows] == [
        ("a", "1", "car", "1.0", "371"),
        ("a", "2", "person", "0.625", "500"),
    ]
    assert np.asarray(Image.open(out / "a_overlay.png")).shape[1] >= 480


def test_the_coco_file_is_opened_by_us_and_gives_the_answers_back(photos, tmp_path):
    predict_files(Answering("instance", [cars(), Segments.empty(SIZE)]), [photos], tmp_path / "out")
    data = open_dataset(tmp_path / "out", images=str(photos))
    assert data.format == "coco_instances"
    assert data.classes == STREET
    assert [sample.key for sample in data] == ["a", "b"]
    assert data[0].segments == cars().select([0, 1])  # overlaps, holes and scores
    assert len(data[1].segments) == 0


def test_cocos_own_code_reads_and_scores_it(photos, tmp_path):
    out = tmp_path / "out"
    predict_files(Answering("instance", [cars(), Segments.empty(SIZE)]), [photos], out, min_score=0)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(out / "instances.json"))
        results = coco.loadRes(json.loads((out / "instances.json").read_text())["annotations"])
        scores = COCOeval(coco, results, "segm")
        scores.evaluate()
        scores.accumulate()
        scores.summarize()
    found = results.loadAnns(results.getAnnIds(imgIds=1))
    assert [one["score"] for one in found] == [1, 0.625, 0.3]
    for row, one in enumerate(found):
        assert np.array_equal(results.annToMask(one).astype(bool), cars().mask(row))
        x, y, width, height = one["bbox"]
        assert [x, y, x + width, y + height] == cars().boxes[row].tolist()
    assert scores.stats[0] == 1  # against itself


@pytest.mark.parametrize(("least", "kept"), [(None, 2), (0.0, 3), (0.8, 1), (1.0, 1)])
def test_the_unsure_are_left_out(photos, tmp_path, least, kept):
    predict_files(Answering("instance", [cars(), cars()]), [photos / "a.png"], tmp_path / "out", min_score=least)
    assert len(table(tmp_path / "out" / "objects.csv")) == kept
    assert len(json.loads((tmp_path / "out" / "instances.json").read_text())["annotations"]) == kept
    assert read_labels(tmp_path / "out" / "a.png").max() == kept
    assert (tmp_path / "out" / "objects.csv").read_text().startswith("image,object,class,score,x0,y0,x1,y1,pixels,x,y\n")


def test_no_object_at_all_is_a_whole_answer(photos, tmp_path):
    out = tmp_path / "out"
    predict_files(Answering("instance", [Segments.empty(SIZE)] * 2), [photos], out)
    assert (out / "objects.csv").read_text() == "image,object,class,score,x0,y0,x1,y1,pixels,x,y\n"
    content = json.loads((out / "instances.json").read_text())
    assert (len(content["images"]), content["annotations"], [one["name"] for one in content["categories"]]) == (
        2,
        [],
        list(STREET.names),
    )


# -- panoptic ----------------------------------------------------------------------------------------------------------------------


def test_panoptic_answers_are_cocos_pngs_and_json(photos, tmp_path):
    out = tmp_path / "out"
    maps = predict_files(Answering("panoptic", [street(), street()]), [photos], out)
    assert names(out) == ["a_overlay.png", "b_overlay.png", "objects.csv", "panoptic.json", "panoptic/a.png", "panoptic/b.png"]
    assert maps == [out / "panoptic" / "a.png", out / "panoptic" / "b.png"]
    told = json.loads((out / "panoptic.json").read_text())["annotations"][0]
    assert (told["file_name"], [one["score"] for one in told["segments_info"]]) == ("a.png", [1, 0.75, 0.5, 0.3])
    numbers = np.asarray(Image.open(maps[0])).astype(int) @ [1, 256, 65536]
    assert {one["id"]: one["area"] for one in told["segments_info"]} == {k: (numbers == k).sum() for k in range(1, 5)}
    assert [(row["object"], row["class"]) for row in table(out / "objects.csv")][:3] == [
        ("2", "car"),
        ("3", "car"),
        ("4", "person"),
    ]


def test_the_panoptic_files_are_opened_by_us(photos, tmp_path):
    predict_files(Answering("panoptic", [street(), street()]), [photos], tmp_path / "out")
    data = open_dataset(tmp_path / "out", images=str(photos))
    assert data.format == "coco_panoptic"
    read, answer = data[0].segments, street().compact()
    assert np.array_equal(read.ids, np.where(answer.ids == 0, -1, answer.ids))  # what is nothing is void in COCO's form
    assert (read.classes.tolist(), read.scores.tolist()) == (answer.classes.tolist(), answer.scores.tolist())


def test_segments_of_a_low_score_are_left_out_if_asked(photos, tmp_path):
    predict_files(Answering("panoptic", [street()]), [photos / "a.png"], tmp_path / "out", min_score=0.6)
    told = json.loads((tmp_path / "out" / "panoptic.json").read_text())["annotations"][0]["segments_info"]
    assert [one["category_id"] for one in told] == [1, 2]


# -- all ---------------------------------------------------------------------------------------------------------------------------


def test_semantic_answers_are_label_maps_as_before(photos, tmp_path):
    out = tmp_path / "out"
    answer = Segments.from_semantic(street().semantic(3), 3)
    [path] = predict_files(Answering("semantic", [answer]), [photos / "a.png"], out)
    assert names(out) == ["a.png", "a_overlay.png", "classes.json"]
    assert np.array_equal(read_labels(path), np.where(answer.semantic(3) == 3, 254, answer.semantic(3).astype(int)))


@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_when_an_image_fails_no_table_is_written_or_touched(photos, tmp_path, task):
    out = tmp_path / "out"
    good = street() if task == "panoptic" else cars()
    predict_files(Answering(task, [good]), [photos / "a.png"], out)
    before = {path: path.read_bytes() for path in out.glob("*.*") if path.suffix in (".json", ".csv")}
    with pytest.raises(DataError, match=r"b.png: image: expected three channels"):
        predict_files(Answering(task, [good, None]), [photos], out, min_score=0.1)
    assert {path: path.read_bytes() for path in before} == before
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("task", ["instance", "panoptic", "semantic"])
def test_files_that_would_lie_over_others_are_refused(photos, tmp_path, task):
    model = Answering(task, [cars(), cars()])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.png").write_bytes((photos / "a.png").read_bytes())
    overlay = photos / "a_overlay.png"
    overlay.write_bytes((photos / "b.png").read_bytes())
    for images, out in (([photos / "a.png", tmp_path / "other"], tmp_path / "out"), ([photos / "a.png", overlay], photos)):
        with pytest.raises(OptionError, match="--out: expected a folder apart from the images"):
            predict_files(model, images, out)
    assert not (tmp_path / "out").exists()


@pytest.mark.data
def test_nuclei_as_they_are_predicted(data_dir, tmp_path):
    """The truth as answer: its map numbers each cell, and converts to another format."""
    data = open_dataset(data_dir / "dsb2018_nuclei").split("val")[:2]
    answers = []
    for number, sample in enumerate(data):
        image = sample.image.copy()
        image[0, 0] = number
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
        answers.append(replace(sample, image=image).segments)
    files = [tmp_path / "0.png", tmp_path / "1.png"]
    maps = predict_files(Answering("instance", answers, data.classes), files, tmp_path / "out")
    for path, answer in zip(maps, answers, strict=True):
        assert np.array_equal(read_labels(path), np.maximum(answer.ids[0], 0))
    assert len(table(tmp_path / "out" / "objects.csv")) == sum(map(len, answers))


def test_where_the_scale_is_known_areas_are_told(tmp_path):
    model = Answering("instance", {9: cars()})
    image = tmp_path / "scaled.png"
    Image.fromarray(np.full((*SIZE, 3), 9, np.uint8)).save(image)
    predict_files(model, [image], tmp_path / "mm", spacing=(0.5, 0.25))
    [first, _] = csv.DictReader((tmp_path / "mm" / "objects.csv").open())
    assert float(first["area_mm2"]) == int(first["pixels"]) / 8
    assert "area_mm2" not in next(csv.reader(_table(model, image, tmp_path).open()))


def test_a_geotiff_knows_its_own_scale(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    image = tmp_path / "town.tif"
    grid = {"crs": "EPSG:32633", "transform": rasterio.transform.from_origin(500_000, 4_649_000, 2.0, 2.0)}
    with rasterio.open(image, "w", driver="GTiff", height=SIZE[0], width=SIZE[1], count=3, dtype="uint8", **grid) as file:
        file.write(np.full((3, *SIZE), 9, np.uint8))
    [first, _] = csv.DictReader(_table(Answering("instance", {9: cars()}), image, tmp_path).open())
    assert float(first["area_m2"]) == 4 * int(first["pixels"])
    assert float(first["map_x"]) == pytest.approx(500_000 + 2 * float(first["x"]), abs=2e-3)


@pytest.mark.parametrize("angle", [0, 30, 90])
def test_a_grid_that_is_turned_has_pixels_as_large(tmp_path, angle):
    rasterio = pytest.importorskip("rasterio")
    image = tmp_path / "town.tif"
    affine = rasterio.Affine.translation(5e5, 4.6e6) @ rasterio.Affine.rotation(angle) @ rasterio.Affine.scale(2.0, -3.0)
    with rasterio.open(
        image, "w", driver="GTiff", height=40, width=60, count=3, dtype="uint8", crs="EPSG:32633", transform=affine
    ) as file:
        file.write(np.full((3, *SIZE), 9, np.uint8))
    [first, _] = csv.DictReader(_table(Answering("instance", {9: cars()}), image, tmp_path).open())
    assert float(first["area_m2"]) == pytest.approx(6 * int(first["pixels"]))


def test_a_scale_that_nothing_is_measured_by_is_refused(tmp_path, photos):
    rasterio = pytest.importorskip("rasterio")
    grid = {"crs": "EPSG:4326", "transform": rasterio.transform.from_origin(10, 50, 1e-4, 1e-4)}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", height=40, width=60, count=3, dtype="uint8", **grid) as file:
        file.write(np.full((3, *SIZE), 0, np.uint8))
    model = Answering("instance", [cars(), cars()])
    with pytest.raises(OptionError, match=r"--spacing: expected none for .*a.tif, whose pixels are in degrees"):
        predict_files(model, [tmp_path / "a.tif"], tmp_path / "out", spacing=(0.5, 0.5))
    for spacing in ((-1, 2), (0, 1), (float("nan"), 1), (1, 1, 1)):
        with pytest.raises(OptionError, match="--spacing: expected millimetres above 0 along each of two axes"):
            predict_files(model, [photos], tmp_path / "out", spacing=spacing)
    for least in (50, -1, float("nan")):
        with pytest.raises(OptionError, match="--min-score: expected a score from 0 to 1"):
            predict_files(model, [photos], tmp_path / "out", min_score=least)
    semantic = Answering("semantic", [street(), street()])
    for options in ({"spacing": (1, 1)}, {"min_score": 0.5}):
        with pytest.raises(OptionError, match="expected none for classes of pixels"):
            predict_files(semantic, [photos], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("stems", "ids"), [(("000000397133", "000000000009"), [9, 397133]), (("7", "b"), [1, 2]), (("07", "7"), [1, 2])]
)
def test_images_named_by_numbers_have_them_for_ids(photos, tmp_path, stems, ids):
    for path, stem in zip(sorted(photos.iterdir()), stems, strict=True):
        path.rename(photos / f"{stem}.png")
    predict_files(Answering("instance", [cars(), cars()]), [photos], tmp_path / "out")
    content = json.loads((tmp_path / "out" / "instances.json").read_text())
    assert sorted(image["id"] for image in content["images"]) == ids
    assert {entry["image_id"] for entry in content["annotations"]} == set(ids)
    assert all(str(image["id"]) in image["file_name"] or ids == [1, 2] for image in content["images"])


def _table(model, image, tmp_path):
    predict_files(model, [image], tmp_path / "out")
    return tmp_path / "out" / "objects.csv"
