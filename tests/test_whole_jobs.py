"""The main job at its real size: minutes, so run by `make test-slow`."""

import pytest

import intarsia
from intarsia.engine.options import TrainOptions


@pytest.mark.slow
def test_the_demo_learns_the_scenes(tmp_path, capsys):
    run = intarsia.demo(tmp_path / "demo")
    said = capsys.readouterr().out
    assert "4/4 done. Look at" in said
    assert run.metrics["mean_iou"] > 0.5
    assert run.metrics["iou"]["person"] > 0.2
    assert not (run.folder / "watch.txt").exists(), "the watch finds fault with a training that goes well"
    for name in ("look.png", "look_batch.png", "test/scores.json", "test/confusion_matrix.png", "run/curves.png"):
        assert (tmp_path / "demo" / name).is_file(), name


@pytest.mark.slow
@pytest.mark.data
def test_three_epochs_at_half_size_on_camvid_and_the_same_again(data_dir, tmp_path):
    """The recipe of docs/results/camvid.md, begun: what it reaches so early, and that it can be reproduced to the bit."""
    weights = data_dir.parent / "weights" / "mobilenet_v2_imagenet_features_fp16.safetensors"
    recipe = {"epochs": 3, "batch_size": 4, "scale": (0.75, 2.0), "encoder_lr_factor": 0.5, "ema": 0.99, "evaluate_every": 3}
    recipe |= {"class_weights": "sqrt_median_frequency", "precision": "fp32", "device": "cpu", "out": str(tmp_path / "run")}
    options = TrainOptions(encoder="mobilenetv2_100", weights=str(weights), size=(180, 240), **recipe)
    run = intarsia.train(data_dir / "camvid", options, quiet=True)
    assert run.metrics["pixel_accuracy"] > 0.75
    assert run.metrics["mean_iou"] > 0.35
    assert intarsia.reproduce(run, quiet=True)["largest_weight_difference"] == 0
