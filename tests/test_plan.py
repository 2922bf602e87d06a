"""The plan: each rule on data made for it, a reason for each choice, TOML that is read again, training without settings."""

from __future__ import annotations

import numpy as np
import pytest

import intarsia
from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.errors import DataError, OptionError
from intarsia.data.dataset import Dataset
from intarsia.engine.data_facts import data_facts
from intarsia.engine.options import TrainOptions
from intarsia.engine.plan import Machine, _tile, make_plan
from intarsia.engine.settings import from_toml

CPU, GPU = Machine("cpu", 2, 16.0, weights=True), Machine("cuda", 16, 80.0, weights=True)
OFFLINE = Machine("cpu", 2, 16.0, weights=False)


def data(labels, *, dtype=np.uint8, channels=3, splits=None, things=()):
    names = ("ground", "middle", "rare")
    samples = []
    for number, one in enumerate(labels * 2 if len(labels) == 1 else labels):  # one alone cannot be planned for
        image = np.random.default_rng(number).integers(0, 200, (*one.shape, channels)).astype(dtype)
        samples.append(Sample(image, Segments.from_semantic(one.astype(np.int16), 3), key=f"i{number:02d}"))
    return Dataset.from_samples(samples, ClassSet(names, things=things), splits=splits)


def layered(height=60, width=80):
    """The classes lie above one another."""
    return np.repeat(np.arange(height) * 3 // height, width).reshape(height, width)


def mixed(height=60, width=80):
    """The classes lie beside one another."""
    return layered(width, height).T


def chosen(some, on=CPU):
    return make_plan(some, on).settings


def test_facts_are_those_of_the_labels():
    facts = data_facts(data([layered(), layered(30, 40)]))
    assert (facts.images, facts.channels, facts.dtype, facts.one_size) == (2, 3, "uint8", False)
    assert facts.size == (45, 60)
    assert facts.shares == pytest.approx({"ground": 1 / 3, "middle": 1 / 3, "rare": 1 / 3})
    assert facts.heights == pytest.approx({"ground": 1 / 6, "middle": 1 / 2, "rare": 5 / 6}, abs=0.02)
    assert data_facts(data([mixed()])).spread < 0.01 < 0.2 < facts.spread


def test_every_choice_has_a_reason_and_the_file_is_read_again(tmp_path):
    plan = make_plan(data([layered()] * 3), CPU)
    assert all(choice.why for choice in plan.choices)
    text = plan.to_toml()
    assert all(f"# {choice.why}" in text for choice in plan.choices)
    assert from_toml(TrainOptions, text) == plan.options()
    for choice in plan.choices:
        assert choice.option in str(plan)


def test_a_data_set_without_splits_holds_a_fifth_back():
    assert chosen(data([layered()] * 3))["data_args"] == {"val": 0.2}
    assert "data_args" not in chosen(data([layered()] * 3, splits={"i00": "train", "i01": "train", "i02": "val"}))


def test_the_network_fits_the_machine():
    some = data([layered()])
    assert (chosen(some)["encoder"], chosen(some)["weights"]) == ("mobilenetv2_100", "timm")
    assert chosen(some, GPU)["encoder"] == "resnet50"
    assert "encoder" not in chosen(some, OFFLINE)
    assert chosen(some, OFFLINE)["model_args"] == {"widths": (24, 48, 96, 192)}


def test_sizes():
    assert "size" not in chosen(data([layered()] * 2))
    held = {"i00": "train", "i01": "train", "i02": "val"}
    assert chosen(data([layered(), layered(200, 300), layered()], splits=held))["size"] == (128, 192)
    large = chosen(data([layered(900, 1200)]))
    assert large["crop"] == (640, 640)
    assert large["batch_size"] == 4
    tight = chosen(data([layered(900, 1200)]), Machine("cpu", 2, 4.0, weights=True))
    assert (tight["batch_size"], tight["accumulate"]) == (1, 4)


def test_from_scratch_images_are_scaled_by_their_own_values():
    plan = chosen(data([layered()] * 3), OFFLINE)  # uniform in 0..199
    assert plan["mean"] == pytest.approx((99.5 / 255,) * 3, abs=0.01)
    assert plan["std"] == pytest.approx((200 / 12**0.5 / 255,) * 3, abs=0.01)
    assert "mean" not in chosen(data([layered()] * 3))  # an encoder that knows ImageNet has its own
    assert "values: of each image scaled to 0..1 from 0..255" in str(make_plan(data([layered()] * 3), CPU))


def test_large_things_are_seen_whole():
    square = np.zeros((1600, 2000), int)
    square[100:1300, 100:1300] = 2
    things = make_plan(data([square], things=("rare",)), CPU).settings
    assert things["size"] == (512, 640)  # 1200 pixels become 384
    small = np.zeros((1600, 2000), int)
    small[100:150, 100:150] = 2
    assert make_plan(data([small], things=("rare",)), CPU).settings["crop"] == (640, 640)


def volumes(root, count, planes, rows=12):
    """Volumes of `planes` planes that show something on the right, in the first rows of 24."""
    nibabel = pytest.importorskip("nibabel")
    label = np.zeros((20, 24, planes))
    label[10:, :rows] = 1
    for folder, array in (("imagesTr", np.random.default_rng(0).normal(size=label.shape)), ("labelsTr", label)):
        (root / folder).mkdir()
        for case in range(count):
            name = f"case{case}_0000" if folder == "imagesTr" else f"case{case}"
            file = nibabel.Nifti1Image(array.astype(np.int16), np.diag([1.0, 1.0, 5.0, 1.0]))
            nibabel.save(file, root / folder / f"{name}.nii.gz")
    return intarsia.open_dataset(root)


def test_of_a_single_volume_neighbouring_planes_are_held_back(tmp_path):
    plan = make_plan(volumes(tmp_path, 1, 25), OFFLINE)
    assert [record.key[-4:] for record in plan.data.split("val").records] == ["0010", "0011", "0012", "0013", "0014"]
    assert "neighbouring planes in the middle, which yet resemble those beside them" in str(plan)
    both = intarsia.open_dataset(tmp_path, slices=True, val=0.2, test=0.12)
    held = {split: [int(key[-4:]) for key in both.split(split).keys] for split in ("val", "test")}
    assert held == {"val": [8, 9, 10, 11, 12], "test": [13, 14, 15]}


def test_volumes_are_trained_plane_by_plane(tmp_path):
    plan = make_plan(volumes(tmp_path, 6, 6), OFFLINE)
    assert plan.settings["data_args"] == {"slices": True, "val": 0.2}
    assert "5 mm apart" in str(plan)
    assert "values: of each image scaled to 0..1 by its own percentiles 0.5 and 99.5" in str(plan)
    assert "neighbouring" not in str(plan)
    held = {record.image for record in plan.data.split("val").records}
    assert (len(plan.data.split("val")), len(held)) == (6, 1)  # the planes of one case, and none of another


def test_data_that_cannot_be_planned_for():
    with pytest.raises(DataError, match="labelled pixels"):
        chosen(data([np.full((20, 30), -1)] * 3))
    with pytest.raises(DataError, match="2 images or more"):
        chosen(data([layered()]).subset(data([layered()]).records[:1]))


def test_what_has_no_up_is_turned():
    assert chosen(data([mixed()] * 13, channels=1))["rotation"] == 180
    assert "rotation" not in chosen(data([layered()] * 13, channels=1))
    assert "rotation" not in chosen(data([mixed()] * 13, channels=3))  # it may be a photograph
    assert chosen(data([mixed()] * 13, channels=3, dtype=np.uint16))["rotation"] == 180


def test_a_few_images_or_volumes_do_not_tell_whether_there_is_an_up(tmp_path):
    assert "rotation" not in chosen(data([mixed()] * 11, channels=1))  # of which two are held back
    plan = make_plan(volumes(tmp_path, 1, 25, rows=24), OFFLINE)
    assert plan.facts.spread < 0.05
    assert "rotation" not in plan.settings
    assert "1 file cannot tell whether up and down mean something" in str(plan)


def test_a_single_raster_is_cut_and_a_fifth_of_the_pieces_held_back(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    profile = {"driver": "GTiff", "height": 160, "width": 160, "dtype": "uint8", "crs": "EPSG:32616"}
    profile["transform"] = rasterio.transform.from_origin(700000, 3700000, 0.5, 0.5)
    for name, array in (
        ("rgb", np.random.default_rng(0).integers(0, 200, (3, 160, 160), np.uint8)),
        ("mask", layered(160, 160)[None]),
    ):
        with rasterio.open(tmp_path / f"a_{name}.tif", "w", count=len(array), **profile) as file:
            file.write(array.astype(np.uint8))
    plan = make_plan(intarsia.open_dataset(tmp_path), CPU)
    assert plan.settings["data_args"] == {"val": 0.2, "tile": 40}
    assert plan.settings["rotation"] == 180
    assert {split: len(plan.data.split(split)) for split in plan.data.splits} == {"train": 13, "val": 3}
    assert plan.facts.sizes.tolist() == [[40, 40]] * 13
    again = intarsia.open_dataset(tmp_path, **plan.settings["data_args"])
    assert again.split("val").keys == plan.data.split("val").keys


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(400, 400)], 100),  # 16 pieces, none smaller
        ([(400, 400)] * 2, 100),
        ([(300, 400)], 80),  # 20 pieces, those of the last row three quarters as high; by 100 there would be 12
        ([(5000, 7000)], 640),
        ([(20, 20)], 640),
    ],
)
def test_pieces_fit_the_raster(sizes, side):
    assert _tile(sizes) == side


def test_rare_classes_are_weighed_and_sought():
    labels = layered()
    labels[labels == 2] = 0
    labels[59, :10] = 2
    rare = chosen(data([labels]))
    assert (rare["class_weights"], rare["rare_crops"]) == ("sqrt_median_frequency", 0.3)
    assert not {"class_weights", "rare_crops"} & chosen(data([layered()])).keys()


def test_small_numbers_and_evaluations_are_told_as_they_are():
    labels = np.zeros((300, 400), int)
    labels[0, 0], labels[100:200] = 2, 1
    assert "the rarest class, rare, has 0.00083% of the pixels" in str(make_plan(data([labels]), CPU))
    plan = make_plan(data([layered()] * 138), CPU)
    assert (plan.settings["epochs"], plan.settings["evaluate_every"]) == (55, 2)
    assert "28 evaluations on the way" in str(plan)


def test_few_images_are_seen_more_often():
    assert chosen(data([layered()] * 2))["epochs"] == 400
    assert chosen(data([layered()] * 75))["epochs"] == 100
    assert chosen(data([layered()] * 75), GPU)["epochs"] == 400
    assert chosen(data([layered()] * 75), Machine("cpu", 4, 16.0, weights=True))["epochs"] == 200


def test_what_is_held_back_is_not_planned_by():
    plan = make_plan(data([layered()] * 75), CPU)
    assert (plan.facts.images, len(plan.data.split("train"))) == (60, 60)
    assert str(plan).startswith("60 training images, 80x60, 3 channels of uint8")
    assert "about 1500 steps" in str(plan)
    with pytest.raises(OptionError, match="Did you mean 'train'"):
        make_plan(data([layered()] * 75), CPU, split="trian")
    with pytest.raises(DataError, match="2 images or more, one of them to be held back, received 1"):
        chosen(data([layered()] * 3, splits={"i00": "train", "i01": "test", "i02": "test"}))


def test_training_without_settings_goes_by_the_plan(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("intarsia.engine.plan.machine", lambda: OFFLINE)
    monkeypatch.setattr("intarsia.engine.plan.STEPS", {"cpu": 10})
    intarsia.convert(intarsia.scenes(10, size=(32, 48), val=0, test=0), tmp_path / "data", "mask_folder", lose=("instances",))
    run = intarsia.train(tmp_path / "data", out=tmp_path / "run")
    assert "No setting says how to train" in capsys.readouterr().out
    told = from_toml(TrainOptions, tmp_path / "run" / "config.toml")
    assert (told.model_args, told.data_args, told.epochs) == ({"widths": (24, 48, 96, 192)}, {"val": 0.2}, 10)
    assert run.metrics["mean_iou"] > 0
    assert TrainOptions(out="x", device="cpu").settings == {}
    assert TrainOptions(out="x", epochs=3).settings == {"epochs": 3}


def squares(count, size=(60, 80)):
    """(1, H, W) ids of `count` squares."""
    ids = np.zeros(size, np.int16)
    for number in range(count):
        row, column = divmod(number, 12)
        ids[row * 6 : row * 6 + 5, column * 6 : column * 6 + 5] = number + 1
    return ids[None]


def objects_data(count, *, stuff):
    samples = []
    for number in range(3):
        ids = squares(count)
        segments = Segments(np.where(ids == 0, count + 1, ids), [2] * count + [0]) if stuff else Segments(ids, [2] * count)
        image = np.random.default_rng(number).integers(0, 200, (60, 80, 3)).astype(np.uint8)
        samples.append(Sample(image, segments, key=f"o{number}"))
    return Dataset.from_samples(samples, ClassSet(("ground", "middle", "rare"), things=("rare",), nothing=not stuff))


@pytest.mark.parametrize(
    ("count", "stuff", "task", "model"),
    [(3, False, "instance", "mask_rcnn"), (40, False, "instance", "panoptic_deeplab"), (3, True, "panoptic", "panoptic_deeplab")],
)
def test_the_labels_tell_the_task_and_that_the_network(count, stuff, task, model):
    plan = make_plan(objects_data(count, stuff=stuff), CPU)
    assert (plan.settings["task"], plan.settings["model"]) == (task, model)
    assert not {"loss", "class_weights", "rare_crops"} & plan.settings.keys()
    assert from_toml(TrainOptions, plan.to_toml()) == plan.options()


def test_a_task_that_is_asked_for_goes_before():
    plan = make_plan(objects_data(3, stuff=False), CPU, task="semantic")
    assert (plan.settings["task"], plan.settings["model"]) == ("semantic", "unet")
    assert chosen(data([layered()]))["task"] == "semantic"
    with pytest.raises(OptionError, match="--task: expected one of semantic, instance, panoptic, received instanse"):
        make_plan(objects_data(3, stuff=False), CPU, task="instanse")


def test_from_scratch_objects_are_found_by_their_centres():
    settings = make_plan(objects_data(3, stuff=False), OFFLINE).settings
    assert (settings["model"], "weights" in settings) == ("panoptic_deeplab", False)
    assert settings["model_args"]["stride"] == 2  # 5 pixels long
