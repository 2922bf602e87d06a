"""Instance and panoptic segmentation through the same loop, commands and files as the semantic one."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

import intarsia
from intarsia.core.catalogue import find
from intarsia.core.errors import OptionError
from intarsia.engine.checkpoint import read_tensors
from intarsia.engine.options import TrainOptions

NETWORKS = ["mask2former", "mask_rcnn", "panoptic_deeplab", "panoptic_fpn", "yolact"]


def small(model):
    """The arguments of the model's small twin."""
    arguments = find("models", model).tiny(3).arguments
    given = ("channels", "in_channels", "pixels", "things")
    return {name: value for name, value in arguments.items() if name not in given and value is not None}


def options(model, **more):
    return {
        "model": model,
        "model_args": small(model),
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
        "epochs": 2,
        "batch_size": 2,
        "lr": 1e-3,
        **more,
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects") / "data"
    return intarsia.convert(intarsia.scenes(10, size=(48, 64), val=0.2, test=0.2), folder, "coco_panoptic")


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """A short training of each network."""
    root = tmp_path_factory.mktemp("runs")
    return {name: intarsia.train(data, out=root / name, quiet=True, **options(name)) for name in NETWORKS}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_goes_by_its_task_and_leaves_a_run(runs, name):
    run, model = runs[name], find("models", name)
    task = model.tasks[0]
    assert (run.options.task, run.options.loss) == (task, model.losses)
    assert run.options.trained == {"instance": "things", "panoptic": "all"}[task]
    assert run.recipe.classes.nothing  # it may always say that there is none
    headline = {"instance": "mask_ap", "panoptic": "pq"}[task]
    assert headline in run.metrics
    assert f"val_{headline}" in read_tensors(run.best)[1]["origin"]
    with (run.folder / "metrics.csv").open() as file:
        assert f"val_{headline}" in next(csv.reader(file))
    assert list((run.folder / "val").glob("worst_1_*.png"))
    assert (run.folder / "curves.png").exists()


@pytest.mark.parametrize("name", NETWORKS)
def test_one_set_of_weights_answers_all_that_it_can(runs, data, name):
    for task in find("models", name).tasks:
        scores = intarsia.evaluate(runs[name], split="test", task=task)
        assert scores.images == 2
        answer = intarsia.load(runs[name], task=task)(data[0].image)
        assert answer.size == (48, 64)
        assert len(answer.ids) == 1 or task == "instance"


@pytest.mark.parametrize("name", ["mask2former", "mask_rcnn"])
def test_killed_and_resumed_it_has_the_same_weights(data, tmp_path, name):
    whole = intarsia.train(data, out=tmp_path / "whole", quiet=True, **options(name, checkpoint_steps=1))

    class Kill(Exception):
        pass

    def kill(row):
        raise Kill

    with pytest.raises(Kill):
        intarsia.train(data, out=tmp_path / "killed", quiet=True, callbacks=[kill], **options(name, checkpoint_steps=1))
    again = intarsia.resume(tmp_path / "killed", quiet=True)
    for key, tensor in read_tensors(whole.last)[0].items():
        assert torch.equal(tensor, read_tensors(again.last)[0][key]), key


def test_predictions_are_files_that_others_read(runs, data, tmp_path):
    images = [record.image for record in data.records[:2]]
    intarsia.predict(runs["panoptic_deeplab"], images, out=tmp_path / "panoptic")
    assert len(list((tmp_path / "panoptic").glob("*_overlay.png"))) == 2
    intarsia.predict(runs["mask_rcnn"], images, out=tmp_path / "instance")
    assert list((tmp_path / "instance").glob("*.csv"))


def test_a_task_it_cannot_answer_and_a_threshold_it_does_not_have(runs, data):
    with pytest.raises(OptionError, match="--task: expected one that mask_rcnn answers: instance, received panoptic"):
        intarsia.load(runs["mask_rcnn"], task="panoptic")
    with pytest.raises(OptionError, match="--task: expected one that unet answers: semantic"):
        intarsia.train(data, model="unet", task="instance")
    with pytest.raises(OptionError, match=r"decoder 'instance': expected one of its thresholds .*'scor'.*Did you mean 'score'"):
        intarsia.load(runs["mask_rcnn"], decode_args={"scor": 0.3})


def test_thresholds_travel_with_the_weights_and_can_be_asked_otherwise(data, tmp_path):
    run = intarsia.train(data, out=tmp_path / "run", quiet=True, **options("yolact", epochs=1, decode_args={"score": 0.9}))
    model = intarsia.load(run)
    assert model.recipe.decode == {"score": 0.9}
    assert len(model(data[0].image)) <= len(intarsia.load(run, decode_args={"score": 0.001})(data[0].image))
    assert json.loads((run.folder / "recipe.json").read_text())["decode"] == {"score": 0.9}
    assert TrainOptions(decode_args={"score": 0.9}).decode_args == run.options.decode_args


def test_shown_are_the_instances_that_are_surer_than_not(runs, data):
    model = intarsia.load(runs["mask_rcnn"], decode_args={"score": 0.0})
    every = model(data[0].image)
    assert np.array_equal(model.shown(data[0].image).scores, every.scores[every.scores >= 0.5])
