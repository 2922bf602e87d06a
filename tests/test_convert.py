"""Conversion between formats: what fits goes over unchanged, what does not is told beforehand, or left out where that was asked."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from _trees import picture, sample
from intarsia.cli import main
from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.catalogue import find
from intarsia.core.errors import CannotHold, OptionError
from intarsia.data.convert import LOSABLE, convert, simplified
from intarsia.data.dataset import Dataset
from intarsia.data.holds import Holds, background_of
from intarsia.data.images import read_labels, write_labels
from intarsia.data.open import open_dataset

ROADS = ClassSet(("sky", "road", "Car"), things=("Car",), void=("Void",))


def roads(*, void: bool = True) -> Dataset:
    samples = [sample(seed, void=void) for seed in range(3)]
    return Dataset.from_samples(samples, ROADS, splits={"s0": "train", "s1": "train", "s2": "val"})


def test_what_fits_goes_there_and_back(tmp_path):
    convert(roads(), tmp_path / "coco", "coco_panoptic")
    convert(open_dataset(tmp_path / "coco"), tmp_path / "camvid", "camvid")
    back = open_dataset(tmp_path / "camvid")
    assert back.classes == ROADS
    for key in roads().keys:
        assert back[back.keys.index(key)].segments == roads()[roads().keys.index(key)].segments


def test_what_does_not_fit_is_told_with_numbers(tmp_path):
    with pytest.raises(CannotHold) as caught:
        convert(roads(), tmp_path / "yolo", "yolo")
    text = str(caught.value)
    assert "yolo cannot hold memory: expected what it has room for" in text
    assert "void where no void pixels has a place in 3 images, s0 first" in text
    assert "classes" in text
    assert "lose=void classes" in text
    assert not (tmp_path / "yolo").exists()


def test_what_is_named_is_left_out(tmp_path):
    convert(roads(), tmp_path / "yolo", "yolo", lose=("classes", "void"))
    back = open_dataset(tmp_path / "yolo")
    assert back.classes == ClassSet(ROADS.names, things=ROADS.names, nothing=True)
    for record in back.records:
        want = roads()[roads().keys.index(record.key)].segments.semantic(3)
        np.testing.assert_array_equal(back.reader.segments(record).semantic(3), np.where(want < 0, 3, want))


def test_only_what_does_not_fit_is_lost(tmp_path):
    convert(roads(), tmp_path / "out", "camvid", lose=tuple(LOSABLE))
    back = open_dataset(tmp_path / "out")
    assert back.classes == ROADS
    assert back[0].segments == roads()[0].segments


def test_objects_become_classes_and_layers_one(tmp_path):
    ids = np.zeros((2, 12, 16), np.int8)
    ids[0, 1:6, 1:6], ids[0, 7:9, 2:9], ids[1, 4:8, 4:8] = 1, 2, 3
    crowd = Segments(ids, [0, 1, 0], scores=[0.9, 0.8, 0.3], crowd=[False, True, False])
    data = Dataset.from_samples([Sample(picture(0), crowd, key="a")], ClassSet(("cat", "dog"), things=("cat", "dog"), nothing=True))
    convert(data, tmp_path / "masks", "image_folder", lose=("overlap", "instances", "crowd", "scores", "order"))
    got = open_dataset(tmp_path / "masks")[0].segments
    semantic = np.full((12, 16), 2)
    semantic[1:6, 1:6] = 0
    semantic[4:8, 4:8] = 0
    semantic[7:9, 2:9] = np.where(semantic[7:9, 2:9] == 0, 0, -1)
    np.testing.assert_array_equal(got.semantic(2), semantic)


def test_a_single_class_takes_the_name_of_the_format(tmp_path):
    cells = ClassSet(("cell",), things=("cell",), nothing=True)
    segments = Segments([[[0, 1, 1], [2, 2, 0]]], [0, 0])
    data = Dataset.from_samples([Sample(picture(0, (2, 3)), segments, key="a")], cells)
    with pytest.raises(CannotHold, match="lose=classes"):
        convert(data, tmp_path / "out", "object_masks")
    convert(data, tmp_path / "out", "object_masks", lose=("classes",))
    assert open_dataset(tmp_path / "out", objects="cell")[0].segments == segments


def test_what_is_nothing_is_the_background_of_voc(tmp_path):
    """Readers of VOC take 0 for it, and 255 for what is not scored."""
    with pytest.raises(CannotHold, match="nothing, which pixels are nothing: they become void, in voc the class background, id 0"):
        convert(named("a"), tmp_path / "out", "voc")
    convert(named("a"), tmp_path / "out", "voc", lose=("nothing",))
    back = open_dataset(tmp_path / "out")
    assert (back.classes.names, back.classes.things, back.classes.colours[0]) == (("background", "cell"), ("cell",), (0, 0, 0))
    labels = read_labels(tmp_path / "out" / "SegmentationClass" / "a.png")
    assert (labels[3, 4], labels[0, 0], np.unique(labels).tolist()) == (1, 0, [0, 1])
    empty = Dataset.from_samples([Sample(picture(0), Segments.empty((12, 16)), key="a")], CELL)
    convert(empty, tmp_path / "empty", "voc", lose=("nothing",))
    assert open_dataset(tmp_path / "empty")[0].segments.classes.tolist() == [0]


@pytest.mark.parametrize("to", ["coco_instances", "yolo"])
def test_a_background_is_no_object(to, tmp_path):
    convert(named("a", splits=("train",)), tmp_path / "voc", "voc", lose=("nothing",))
    voc = open_dataset(tmp_path / "voc")
    with pytest.raises(CannotHold, match="the class background, which would be an object in each image where objects alone"):
        convert(voc, tmp_path / "out", to)
    convert(voc, tmp_path / "out", to, lose=("background",))
    back = open_dataset(tmp_path / "out")
    assert (back.classes.names, back.classes.nothing) == (("cell",), True)
    assert back[0].segments == named("a")[0].segments


def test_a_refusal_can_be_read(tmp_path):
    one = named("a")[0]
    several = Dataset.from_samples([Sample(one.image, Segments([[*[[1] * 16] * 6, *[[2] * 16] * 6]], [0, 0]), key="a")], CELL)
    with pytest.raises(CannotHold) as caught:
        convert(several, tmp_path / "out", "ade20k", lose=("splits",))
    assert "instances: several segments of one class where one segment per class has a place in 1 image" in str(caught.value)
    assert "classes: pixels that may be of no class where a class for each pixel has a place" in str(caught.value)


def test_the_name_of_void_is_no_loss_where_there_is_none(tmp_path):
    convert(named("a"), tmp_path / "coco", "coco_instances")
    convert(open_dataset(tmp_path / "coco"), tmp_path / "labelme", "labelme", lose=())
    assert open_dataset(tmp_path / "labelme")[0].segments == named("a")[0].segments


def test_unknown_names(tmp_path):
    with pytest.raises(OptionError, match="Did you mean 'void'"):
        convert(roads(), tmp_path / "out", "yolo", lose=("voids",))
    with pytest.raises(OptionError, match="coco_instances"):
        convert(roads(), tmp_path / "out", "coco_instance")


CELL = ClassSet(("cell",), things=("cell",), nothing=True)


def named(*keys: str, splits: tuple[str, ...] = ()) -> Dataset:
    """An object in each image."""
    ids = np.zeros((1, 12, 16), np.int8)
    ids[0, 2:6, 3:9] = 1
    samples = [Sample(picture(seed), Segments(ids, [0]), key=key) for seed, key in enumerate(keys)]
    return Dataset.from_samples(samples, CELL, splits=dict(zip(keys, splits, strict=False)))


@pytest.mark.parametrize(
    ("to", "keys", "splits", "told"),
    [
        ("yolo", ("images/1", "3"), ("train", "train"), "keys: 'images/1' where a key without images in its path"),
        ("voc", ("a/1", "2"), (), "keys: 'a/1' where a key without folders"),
        ("voc", ("1", "2"), ("train", "extra"), "splits: 'extra' where a split among none, train, val, test"),
        ("mask_folder", ("1", "2"), ("train", "extra"), "splits: 'extra' where a split among none, train, val, test"),
        ("mask_folder", ("train/1", "val/2", "3"), (), "keys: 'train/1' where a key that does not begin with the name of a split"),
        ("oxford_pet", ("my cat_1", "my_2"), ("train", "train"), "keys: 'my cat_1' where a key without spaces"),
        ("coco_instances", ("1", "2"), ("train", "train2"), "splits: 'train2' where a split of a name without digits"),
        ("coco_instances", ("train/1", "1"), ("train", "train"), "keys: '1' where each key once in its split"),
    ],
)
def test_a_key_or_split_that_would_be_lost_is_refused(to, keys, splits, told, tmp_path):
    with pytest.raises(CannotHold) as caught:
        convert(
            named(*keys, splits=splits), tmp_path / "out", to, lose=tuple(set(LOSABLE) - {"splits"}) if to != "oxford_pet" else ()
        )
    assert told in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_again_is_compared_before_the_copy_comes_to_its_place(tmp_path, monkeypatch):
    from intarsia.data.formats.coco_instances import CocoInstances

    read = CocoInstances.open
    monkeypatch.setattr(CocoInstances, "open", staticmethod(lambda path: read(path)[1:]))
    with pytest.raises(CannotHold, match=r"CocoInstances copy of memory: .* received a difference at 'a'. Nothing was kept"):
        convert(named("a", "b"), tmp_path / "out", "coco_instances")
    monkeypatch.setattr(CocoInstances, "open", staticmethod(lambda path: without_rows(read(path))))
    with pytest.raises(CannotHold, match="another number of segments in 'a'; another number of segments in 'b'"):
        convert(named("a", "b"), tmp_path / "out", "coco_instances")
    monkeypatch.setattr(CocoInstances, "open", staticmethod(lambda path: read(path / "elsewhere")))
    with pytest.raises(CannotHold, match="received a difference at .*elsewhere"):
        convert(named("a", "b"), tmp_path / "out", "coco_instances")
    assert list(tmp_path.iterdir()) == []


def without_rows(dataset: Dataset) -> Dataset:
    """The same images, in which nothing is."""
    samples = [Sample(one.image, Segments.empty(one.image.shape[:2]), key=one.key) for one in dataset]
    return Dataset.from_samples(samples, dataset.classes)


def test_a_layout_in_which_two_splits_share_a_name_is_no_copy(tmp_path):
    """That is an option of CamVid's writer, of which `Holds` knows nothing: what is read again tells."""
    samples = [Sample(one.image, one.segments, key=f"{split}/1") for split, one in zip(("train", "val"), roads(), strict=False)]
    data = Dataset.from_samples(samples, ROADS, splits={"train/1": "train", "val/1": "val"})
    with pytest.raises(CannotHold, match=r"CamVid copy of memory: .* a difference at '1' in 'train'"):
        convert(data, tmp_path / "out", "camvid", layout="fastai")
    assert list(tmp_path.iterdir()) == []
    convert(data, tmp_path / "out", "camvid")
    assert open_dataset(tmp_path / "out").keys == ["train/1", "val/1"]


PICTURED = ("ade20k", "coco_instances", "coco_panoptic", "image_folder", "labelme", "mask_folder", "oxford_pet", "voc", "yolo")
"""Formats in which an image may be a JPEG."""


@pytest.mark.parametrize("to", PICTURED)
def test_a_jpeg_stays_byte_by_byte_what_it_is_unless_exif_turns_it(to, tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    for number, suffix in enumerate((".jpg", ".JPEG", ".jpg")):
        image = Image.fromarray(cv2.resize(picture(number), (16, 24)))
        (tmp_path / "data/images/train").mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / f"data/images/train/A_{number}{suffix}", format="JPEG", exif=exif if number == 2 else Image.Exif())
        labels = np.arange(384).reshape((24, 16) if number < 2 else (16, 24)) // 192  # the last as it is shown, turned
        write_labels(tmp_path / f"data/masks/train/A_{number}.png", labels)
    (tmp_path / "data/codes.txt").write_text("background\npet\n")
    source = open_dataset(tmp_path / "data")
    convert(source, tmp_path / "out", to, lose=tuple(LOSABLE))
    copy = open_dataset(tmp_path / "out", format=to)
    assert [one.image.suffix for one in sorted(copy.records, key=lambda one: one.key)] == [".jpg", ".jpeg", ".png"]
    for one in copy:
        before = source[source.keys.index(one.key)]
        np.testing.assert_array_equal(one.image, before.image)
        record = copy.records[copy.keys.index(one.key)]
        own = source.records[source.keys.index(one.key)]
        assert (record.image.read_bytes() == own.image.read_bytes()) == (record.key != "A_2")
        assert one.segments.size == one.image.shape[:2]


@pytest.mark.parametrize("to", ["camvid", "cityscapes", "object_masks"])
def test_a_png_stays_byte_by_byte_where_the_layout_names_png(to, tmp_path):
    for number, suffix in enumerate((".png", ".PNG", ".jpg")):
        (tmp_path / "data/images").mkdir(parents=True, exist_ok=True)
        kind = "JPEG" if suffix == ".jpg" else "PNG"
        Image.fromarray(picture(number)).save(tmp_path / f"data/images/{number}{suffix}", format=kind, compress_level=1)
        write_labels(tmp_path / f"data/masks/{number}.png", np.zeros((12, 16), np.uint8))
    (tmp_path / "data/codes.txt").write_text("road\n")
    source = open_dataset(tmp_path / "data")
    convert(source, tmp_path / "out", to, lose=tuple(LOSABLE))
    copy = open_dataset(tmp_path / "out", format=to)
    assert [one.image.suffix for one in copy.records] == [".png"] * 3
    same = [one.image.read_bytes() == own.image.read_bytes() for one, own in zip(copy.records, source.records, strict=True)]
    assert same == [True, True, False]
    for one, own in zip(copy, source, strict=True):
        np.testing.assert_array_equal(one.image, own.image)


def test_a_copy_lies_apart_from_its_data(tmp_path):
    convert(named("a", "b", splits=("train", "train")), tmp_path / "data", "coco_instances")
    for out in ("data", "data/images/train/copy", "."):
        with pytest.raises(OptionError, match=r"out: expected a folder apart from the data .*: name a folder beside it"):
            convert(open_dataset(tmp_path / "data"), tmp_path / out, "coco_instances")
    assert len(open_dataset(tmp_path / "data")) == 2
    convert(open_dataset(tmp_path / "data"), tmp_path / "data-copy", "coco_instances")


def test_objects_that_only_run_lengths_hold_are_told(tmp_path, capsys):
    convert(named("a", splits=("train",)), tmp_path / "plain", "coco_instances")
    assert main(["convert", str(tmp_path / "plain"), str(tmp_path / "out"), "--to", "yolo"]) == 0
    assert "rle lines" not in capsys.readouterr().out
    ring = np.zeros((1, 12, 16), np.int8)
    ring[0, 1:9, 1:9], ring[0, 3:5, 3:5] = 1, 0
    holed = Dataset.from_samples([Sample(picture(0), Segments(ring, [0]), key="a")], CELL, splits={"a": "train"})
    convert(holed, tmp_path / "ring", "coco_instances")
    assert main(["convert", str(tmp_path / "ring"), str(tmp_path / "holed"), "--to", "yolo"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "1 object with holes or in several parts, in 1 image, became rle lines" in out
    assert "Ultralytics (8.4) does not" in out


def test_a_link_to_an_empty_folder_is_written_through(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    convert(named("a"), tmp_path / "link", "coco_instances")
    assert (tmp_path / "link").is_symlink()
    assert open_dataset(tmp_path / "empty").keys == ["a"]


def placed() -> Dataset:
    """A volume whose voxels are long, at a place in space."""
    segments = Segments.from_semantic(np.zeros((4, 8, 8), np.int64), 1)
    affine = np.diag([0.5, 0.5, 5.0, 1.0])
    affine[:3, 3] = 10, 20, 30
    sample = Sample(np.zeros((4, 8, 8, 1), np.uint8), segments, key="v", spacing=(5.0, 0.5, 0.5), geo={"affine": affine.tolist()})
    return Dataset.from_samples([sample], ClassSet(("x",)))


@pytest.mark.parametrize("to", ["tiff_stack", "mask_folder"])
def test_spacing_and_affine_are_lost_by_name_alone(to, tmp_path):
    with pytest.raises(CannotHold, match=r"grid: spacing, affine where no grid has a place in 1 image, v first.*lose=grid"):
        convert(placed(), tmp_path / "out", to)
    assert list(tmp_path.iterdir()) == []
    convert(placed(), tmp_path / "out", to, lose=("grid",))
    assert open_dataset(tmp_path / "out", format=to)[0].spacing is None


def test_a_format_with_room_for_the_grid_keeps_it(tmp_path):
    convert(placed(), tmp_path / "out", "nifti", lose=("grid",))
    back, want = open_dataset(tmp_path / "out")[0], placed()[0]
    assert (back.spacing, back.geo) == (want.spacing, want.geo)


def test_a_place_on_earth_is_lost_by_name_alone(tmp_path):
    pytest.importorskip("rasterio")
    geo = {"transform": (0.5, 0.0, 1000.0, 0.0, -0.5, 2000.0), "crs": "EPSG:32616", "nodata": None}
    one = named("a")[0]
    data = Dataset.from_samples([Sample(one.image, one.segments, key="a", geo=geo)], ClassSet(("cell",), nothing=True))
    convert(data, tmp_path / "geo", "geotiff")
    opened = open_dataset(tmp_path / "geo")
    with pytest.raises(CannotHold, match=r"grid: spacing, transform, crs where no grid has a place"):
        convert(opened, tmp_path / "masks", "mask_folder")
    convert(opened, tmp_path / "masks", "mask_folder", lose=("grid",))
    convert(opened, tmp_path / "again", "geotiff", lose=("grid",))
    assert open_dataset(tmp_path / "again")[0].geo == opened[0].geo


@pytest.mark.parametrize(
    ("to", "splits", "after"),
    [
        ("coco_instances", ("", ""), ("", "")),
        ("coco_instances", ("train", "extra"), ("train", "extra")),
        ("coco_instances", ("train", ""), ("train", "train")),
        ("image_folder", ("", ""), ("", "")),
        ("image_folder", ("val", "extra"), ("val", "train")),
        ("image_folder", ("extra", "more"), ("", "")),
        ("yolo", ("", ""), ("train", "train")),
        ("yolo", ("val", "extra"), ("val", "train")),
    ],
)
def test_of_splits_only_those_without_a_place_are_lost(to, splits, after):
    records = simplified(named("a", "b", splits=splits), find("data.formats", to), ("splits",)).records
    assert tuple(record.split for record in records) == after


def test_the_order_of_segments_stays_where_it_has_a_place():
    ids = np.zeros((1, 12, 16), np.int8)
    ids[0, :3], ids[0, 5:] = 1, 2
    data = Dataset.from_samples([Sample(picture(0), Segments(ids, [1, 0]), key="a")], ClassSet(("cat", "dog"), nothing=True))
    for to, classes in (("coco_instances", [1, 0]), ("image_folder", [0, 1])):
        segments = simplified(data, find("data.formats", to), ("order",))[0].segments
        assert segments is not None
        assert segments.classes.tolist() == classes


def test_between_any_two_formats_with_what_does_not_fit_left_out(tmp_path):
    """Every pair: it comes over with all that both hold, or the reason is one that nothing can be left out for."""
    from test_formats_contract import CLASSES, FORMATS, KINDS, dataset

    def first(name):
        format = find("data.formats", name)
        for kind in ("objects", "objects and stuff", "a class for each pixel", "objects in volumes", "volumes"):
            for classes in CLASSES:
                data = dataset(KINDS[kind](len(classes)), classes, format)
                try:
                    convert(data, tmp_path / name, name)
                except CannotHold:
                    continue
                return open_dataset(tmp_path / name)
        raise AssertionError(name)

    done = 0
    for source in FORMATS:
        data = first(source)
        for target in FORMATS:
            out = tmp_path / f"{source}-{target}"
            refused = attempted(data, out, target)
            if refused:
                assert any(text in refused for text in HOPELESS), f"{source} to {target}: {refused}"
                continue
            check_held(data, open_dataset(out, format=target), find("data.formats", target).holds)
            done += 1
    assert done > 100


def check_held(data: Dataset, back: Dataset, target: Holds) -> None:
    """All that the target has room for is there."""
    holds = target.of(data.classes)
    single = len(data.classes) == len(back.classes) == 1  # the format has a name of its own
    lost = "" if holds.background else background_of(data.classes)  # becomes nothing
    names = ["" if name == lost else name for name in data.classes.names]
    table = np.array(
        [0 if single else back.classes.index_of.get(name, len(back.classes)) for name in names] + [len(back.classes), -1]
    )
    assert sorted(back.keys) == sorted(data.keys)
    for record in back.records:
        place = data.keys.index(record.key)
        want, got = data[place], back[back.keys.index(record.key)]
        assert record.split == data.records[place].split or not holds.has_split(data.records[place].split)
        np.testing.assert_array_equal(got.image, want.image)
        assert got.image.dtype == want.image.dtype
        if want.segments is None or got.segments is None:
            assert want.segments is None is got.segments
            continue
        before = table[want.segments.semantic(len(data.classes))]  # -1 is void, the last but one nothing
        after = got.segments.semantic(len(back.classes))
        nothing, void = before == len(back.classes), before < 0
        filling = back.classes.index_of.get("background", -1) if holds.fills and nothing.any() else -1
        np.testing.assert_array_equal(
            after, np.where(nothing & (not holds.nothing), filling, np.where(void & (not holds.void), len(back.classes), before))
        )
        if holds.instances and filling < 0 and not lost and not want.segments.crowd.any():
            masks = [sorted(each.mask(row).tobytes() for row in range(len(each))) for each in (want.segments, got.segments)]
            assert masks[0] == masks[1]


HOPELESS = ("volumes (D, H, W, C)", "images (H, W, C)", "place on Earth", "classes", "one class", "a key", "images of")
"""What nothing can be left out for."""


def attempted(data: Dataset, out: Path, target: str) -> str:
    """Why it was refused, or nothing."""
    try:
        convert(data, out, target, lose=tuple(LOSABLE))
    except CannotHold as error:
        return str(error)
    return ""
