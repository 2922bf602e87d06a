"""The face, from end to end: on synthetic scenes, and once on real road scenes."""

import json

import numpy as np
import pytest
from PIL import Image

import intarsia
from intarsia.cli import main
from intarsia.core.errors import DatasetNotFound, OptionError
from intarsia.data.images import write_labels
from intarsia.engine.demo import write_scenes

TINY = {"model_args": {"widths": [4, 8]}, "batch_size": 4, "device": "cpu", "precision": "fp32", "lr": 1e-2, "quiet": True}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api") / "scenes"
    write_scenes(folder, 16, size=(48, 64), val=0.25, test=0.25)
    return folder


@pytest.fixture(scope="module")
def run(data):
    return intarsia.train(data, out=str(data.parent / "run"), epochs=2, **TINY)


def test_the_five_lines_of_the_readme(data, run, tmp_path):
    street = next((data / "images" / "test").iterdir())
    saved = intarsia.load(run.best).predict(street).save(tmp_path / "street.png")
    assert Image.open(saved).format == "PNG"
    assert 0 < run.metrics["mean_iou"] < 1


def test_evaluate_leaves_scores_rows_and_pictures(data, run, tmp_path):
    scores = intarsia.evaluate(run.folder, data, split="test", out=tmp_path, device="cpu", precision="fp32")
    kept = json.loads((tmp_path / "scores.json").read_text())
    assert kept["mean_iou"] == scores.mean_iou
    assert kept["split"] == "test"
    rows = (tmp_path / "images.csv").read_text().splitlines()
    assert len(rows) == 1 + kept["images"] == 5
    values = [float(row.split(",")[1]) for row in rows[1:]]
    assert values == sorted(values)
    assert len(list(tmp_path.glob("worst_*.png"))) == 4


def test_predicted_label_maps_score_as_the_network_does(data, run, tmp_path):
    maps = intarsia.predict(run.best, data / "images" / "test", out=tmp_path, device="cpu", precision="fp32")
    assert len(maps) == 4
    again = intarsia.evaluate_folders(data / "masks" / "test", tmp_path)
    direct = intarsia.evaluate(run.best, data, split="test", device="cpu", precision="fp32")
    assert np.array_equal(again.confusion, direct.confusion)


def test_a_run_is_evaluated_on_its_own_data_and_with_flips(data, run):
    plain, named = (
        intarsia.evaluate(run, device="cpu", precision="fp32"),
        intarsia.evaluate(run, data, device="cpu", precision="fp32"),
    )
    assert np.array_equal(plain.confusion, named.confusion)
    flipped = intarsia.evaluate(run, flip=True, device="cpu", precision="fp32")
    assert flipped.confusion.sum() == plain.confusion.sum()
    assert not np.array_equal(flipped.confusion, plain.confusion)


def test_a_network_in_memory_is_asked_as_one_from_a_file(data, run, tmp_path):
    model = intarsia.load(run, device="cpu", precision="fp32")
    image = next((data / "images" / "test").iterdir())
    flipped = intarsia.evaluate(run, flip=True, device="cpu", precision="fp32")
    assert np.array_equal(intarsia.evaluate(model, data, flip=True, device="cpu").confusion, flipped.confusion)
    assert not model.flip
    steady = intarsia.load(run, device="cpu", precision="fp32", flip=True)
    assert np.array_equal(intarsia.evaluate(steady, data).confusion, flipped.confusion)  # nothing told, nothing changed
    with pytest.raises(OptionError, match="--precision: expected auto, fp32, bf16 or fp16, received 'fp8'"):
        intarsia.predict(model, image, out=tmp_path, precision="fp8")
    with pytest.raises(OptionError, match=r"--device: expected cpu, where this Model is, received 'meta'. Load it there"):
        intarsia.predict(model, image, out=tmp_path, device="meta")


def test_label_maps_of_other_ids_are_matched_by_name(tmp_path):
    for folder, names, labels in (("truth", "sky\nVoid\nwall", [[0, 1, 2, 2]]), ("answer", "wall\nsky", [[1, 0, 0, 1]])):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "classes.txt").write_text(names)
        write_labels(tmp_path / folder / "a.png", np.array(labels, np.uint8))
    scores = intarsia.evaluate_folders(tmp_path / "truth", tmp_path / "answer")
    assert scores.names == ("sky", "wall")
    assert scores.recall.tolist() == [1.0, 0.5]


def test_a_flat_folder_is_split_by_its_options_and_reproduced_with_them(data, tmp_path):
    flat = tmp_path / "flat"
    for kind in ("images", "masks"):
        (flat / kind).mkdir(parents=True)
        for path in (data / kind / "train").iterdir():
            (flat / kind / path.name).write_bytes(path.read_bytes())
    (flat / "classes.json").write_bytes((data / "classes.json").read_bytes())
    with pytest.raises(OptionError, match="val=0.2"):
        intarsia.train(flat, epochs=1, out=str(tmp_path / "run"), **TINY)
    run = intarsia.train(flat, data_args={"val": 0.25, "test": 0.25}, epochs=1, out=str(tmp_path / "run"), **TINY)
    assert intarsia.evaluate(run, device="cpu").images == 2
    assert intarsia.reproduce(run, quiet=True)["largest_weight_difference"] == 0


def test_look_draws_samples_and_an_augmented_batch(data, tmp_path):
    written = intarsia.look(data, count=2, out=tmp_path / "look.png")
    assert [path.name for path in written] == ["look.png", "look_batch.png"]
    assert all(Image.open(path).width > 200 for path in written)


def test_show_opens_the_picture_of_a_sample(data, monkeypatch):
    shown = []
    monkeypatch.setattr(Image.Image, "show", lambda picture, *args, **kwargs: shown.append(picture.size))
    sample = intarsia.open_dataset(data)[0]
    sample.show()
    height, width = sample.picture().shape[:2]
    assert shown == [(width, height)]


def test_open_mask_takes_ids_and_void(tmp_path):
    write_labels(tmp_path / "mask.png", np.array([[0, 1], [2, 255]], np.uint8))
    named = intarsia.open_mask(tmp_path / "mask.png", ["sky", "road", "car"])
    assert named.pixels() == {"sky": 1, "road": 1, "car": 1}
    assert named.segments.void.tolist() == [[False, False], [False, True]]
    assert intarsia.open_mask(tmp_path / "mask.png").classes.names == ("0", "1", "2")


def test_open_image_gives_height_width_channels(data):
    assert intarsia.open_image(next((data / "images" / "test").iterdir())).shape == (48, 64, 3)


def test_the_learning_rate_finder_draws_its_curve(data, tmp_path):
    found = intarsia.lr_find(data, out=tmp_path / "curve.png", steps=12, model_args={"widths": [4, 8]}, batch_size=4, device="cpu")
    assert found.rates[0] == pytest.approx(1e-7)
    assert Image.open(tmp_path / "curve.png").width > 200


def test_a_finished_run_is_resumed_to_itself(run):
    before = run.last.read_bytes()
    assert intarsia.resume(run, quiet=True).metrics == run.metrics
    assert run.last.read_bytes() == before


def test_predictions_do_not_overwrite_images(data, run, tmp_path):
    (tmp_path / "photo.png").write_bytes(next((data / "images" / "test").iterdir()).read_bytes())
    before = (tmp_path / "photo.png").read_bytes()
    with pytest.raises(OptionError, match="--out: expected a folder apart from the images"):
        intarsia.predict(run, tmp_path / "photo.png", out=tmp_path, device="cpu")
    assert (tmp_path / "photo.png").read_bytes() == before


def test_a_run_is_not_overwritten(data, run):
    with pytest.raises(OptionError, match="--out: expected a folder without a run, received .* `intarsia resume"):
        intarsia.train(data, out=str(run.folder), **TINY)


def test_bad_data_is_told_before_a_run_folder_is_made(data, tmp_path):
    with pytest.raises(OptionError, match="split 'vall'"):
        intarsia.train(data, out=str(tmp_path / "run"), val_split="vall", **TINY)
    with pytest.raises(DatasetNotFound):
        intarsia.train(tmp_path / "nowhere", out=str(tmp_path / "run"), **TINY)
    assert not (tmp_path / "run").exists()


def test_a_mistyped_option_names_the_nearest(data):
    with pytest.raises(OptionError, match="'epoch'.*Did you mean 'epochs'"):
        intarsia.train(data, epoch=3)


def test_training_at_half_size_then_whole_on_part_of_the_data(data, tmp_path):
    seen = []
    options = {**TINY, "half_size": 0.5, "epochs": 2, "fraction": 0.5, "augment": False, "batch_size": 2}
    run = intarsia.train(data, out=str(tmp_path / "run"), callbacks=[seen.append], **options)
    assert len(seen) == 2
    assert intarsia.load(run.best).recipe.size == (48, 64)


def test_the_command_line_does_the_same(data, run, tmp_path, capsys):
    assert (
        main(["evaluate", str(run.folder), str(data), "--split", "test", "--device", "cpu", "--precision", "fp32", "--json"]) == 0
    )
    scores = json.loads(capsys.readouterr().out)
    direct = intarsia.evaluate(run.best, data, device="cpu", precision="fp32")
    assert scores["mean_iou"] == direct.mean_iou
    assert main(["evaluate", str(tmp_path), str(data)]) == 1
    assert "an existing folder without weights" in capsys.readouterr().err


@pytest.mark.data
def test_road_scenes_from_folder_to_picture(data_dir, tmp_path):
    """The main job on CamVid with the ImageNet encoder, small enough for a test: far better than the most frequent class."""
    weights = data_dir.parent / "weights" / "mobilenet_v2_imagenet_features_fp16.safetensors"
    run = intarsia.train(
        data_dir / "camvid", encoder="mobilenetv2_100", weights=str(weights), size=(90, 120), fraction=0.25, epochs=3, lr=3e-3,
        scale=(0.8, 1.5), out=str(tmp_path / "run"), device="cpu", quiet=True,
    )  # fmt: skip
    scores = intarsia.evaluate(run.best, intarsia.open_dataset(data_dir / "camvid").split("val")[::5], split="val")
    assert scores.pixel_accuracy > 0.6
    assert scores.mean_iou > 0.2
    street = sorted((data_dir / "camvid" / "test").glob("*.jpg"))[0]
    answer = intarsia.load(run.best).predict(street)
    assert answer.segments.size == (360, 480)
    assert answer.save(tmp_path / "street.png").is_file()
