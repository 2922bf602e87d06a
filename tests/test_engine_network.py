"""Checkpoints, and a network as a predictor."""

import json

import numpy as np
import pytest
import torch

import intarsia
from intarsia.core import ClassSet, Pixels
from intarsia.core.errors import CheckpointError, DataError, OptionError
from intarsia.core.licences import Licences
from intarsia.data.dataset import Dataset
from intarsia.data.scenes import CLASSES, scene
from intarsia.engine.checkpoint import read_tensors, write_tensors
from intarsia.engine.evaluate import evaluate_network
from intarsia.engine.model_card import model_card
from intarsia.engine.network import Model
from intarsia.engine.recipe import Recipe, build_network
from intarsia.metrics.semantic import Semantic
from intarsia.models.encoders.licence import encoder_licence


@pytest.fixture
def model():
    torch.manual_seed(0)
    recipe = Recipe("unet", CLASSES, Pixels(), 3, (48, 64), {"widths": [4, 8]}, origin={"data": "scenes"})
    return Model(build_network(recipe), recipe, device="cpu", precision="fp32")


def test_saved_and_loaded_it_answers_the_same(model, tmp_path):
    image = scene(0, 1, (48, 64)).image
    folder = model.save_pretrained(tmp_path / "saved")
    assert json.loads((folder / "config.json").read_text())["classes"]["names"] == list(CLASSES.names)
    for source in (folder, folder / "model.safetensors", str(folder)):
        again = intarsia.load(source, device="cpu", precision="fp32")
        assert again.recipe == model.recipe
        assert again(image) == model(image)


@pytest.mark.parametrize("size", [(31, 57), (96, 128), (48, 64)])
def test_the_answer_has_the_size_of_the_image_and_is_that_of_interpolate_and_argmax(model, size):
    image = scene(0, 1, size).image
    answer = model(image)
    assert answer.size == size
    if size == (48, 64):
        with torch.inference_mode():
            logits = model.network(torch.from_numpy(image)[None].movedim(-1, 1)).logits
        expected = torch.nn.functional.interpolate(logits, size=size, mode="bilinear").argmax(1)[0].numpy()
        assert np.array_equal(answer.semantic(len(CLASSES)), expected)


def test_a_prediction_can_be_saved_counted_and_looked_at(model, tmp_path):
    from PIL import Image

    (tmp_path / "photo.png").write_bytes(b"")
    Image.fromarray(scene(0, 2, (48, 64)).image).save(tmp_path / "photo.png")
    answer = model.predict(tmp_path / "photo.png")
    assert answer.key == "photo"
    label_map = Image.open(answer.save_label_map(tmp_path / "ids.png"))
    assert label_map.mode == "P"
    assert np.array_equal(np.array(label_map), answer.segments.semantic(len(CLASSES)))
    assert sum(answer.pixels().values()) == 48 * 64
    assert answer.count() == {name: 1 for name, pixels in answer.pixels().items() if pixels}
    assert Image.open(answer.save(tmp_path / "seen.png")).width >= 64
    assert answer.picture().shape[2] == 3


def test_confidence_is_the_probability_of_the_answer(model):
    image = scene(0, 3, (48, 64)).image
    answer = model(image, confidence=True)
    with torch.inference_mode():
        expected = model.network(torch.from_numpy(image)[None].movedim(-1, 1)).logits.softmax(1).amax(1)[0].numpy()
    assert np.allclose(answer.confidence, expected, atol=1e-3)


def test_other_channels_are_refused(model):
    with pytest.raises(DataError, match=r"image: expected 3 channels, as in training, received shape \(8, 8, 1\)"):
        model(np.zeros((8, 8, 1), np.uint8))


def test_other_depths_are_refused(model):
    with pytest.raises(DataError, match=r"image: expected 8-bit values, as in training, received uint16"):
        model(np.zeros((8, 8, 3), np.uint16))


def test_a_file_that_does_not_fit_is_named(model, tmp_path):
    from PIL import Image

    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "grey.png")
    with pytest.raises(DataError, match=r"grey\.png: image: expected 3 channels, as in training"):
        model.predict(tmp_path / "grey.png")


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("none.safetensors", None, "expected a .safetensors checkpoint, a run folder"),
        ("cut.safetensors", b"\x10\0\0\0\0\0\0\0{", "expected a whole .safetensors file"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path, name, content, text):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=text) as caught:
        intarsia.load(tmp_path / name)
    assert name in str(caught.value)


def test_weights_without_our_header_say_how_to_use_them(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "encoder.safetensors")
    with pytest.raises(CheckpointError, match="use --encoder NAME --weights FILE"):
        intarsia.load(tmp_path / "encoder.safetensors")


def test_weights_of_another_network_do_not_fit(model, tmp_path):
    write_tensors(tmp_path / "x.safetensors", {"stray": torch.zeros(1)}, model.recipe.to_dict())
    with pytest.raises(CheckpointError, match="expected the weights of 'unet' as its header describes it"):
        intarsia.load(tmp_path / "x.safetensors")


def test_a_state_is_no_network(tmp_path):
    write_tensors(tmp_path / "state.safetensors", {"rng.cpu": torch.get_rng_state()}, {"progress": {}})
    with pytest.raises(CheckpointError, match=r"expected the weights of a network, .* Take weights/best.safetensors"):
        intarsia.load(tmp_path / "state.safetensors")


def test_a_mistyped_run_is_not_looked_up_on_the_hub(monkeypatch):
    import huggingface_hub

    asked = []
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda name, *args, **kwargs: asked.append(name) or "nowhere")
    with pytest.raises(
        CheckpointError, match="runs/nope: expected .* or hf:org/name on the Hugging Face hub, received no such file"
    ):
        intarsia.load("runs/nope")
    assert asked == []
    with pytest.raises(CheckpointError):
        intarsia.load("hf:org/name")
    assert set(asked) == {"org/name"}


@pytest.mark.parametrize(("option", "value"), [("device", "cuda:99"), ("device", "gpu"), ("precision", "half")])
def test_a_wrong_device_or_precision_is_told_at_once(model, tmp_path, option, value):
    folder = model.save_pretrained(tmp_path)
    with pytest.raises(OptionError, match=f"--{option}: expected .* received '{value}'"):
        intarsia.load(folder, **{option: value})


def test_tensors_and_header_come_back(tmp_path):
    tensors = {"a": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last), "b": torch.tensor(7)}
    write_tensors(tmp_path / "t.safetensors", tensors, {"note": [1, 2]})
    back, header = read_tensors(tmp_path / "t.safetensors")
    assert header == {"note": [1, 2]}
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_an_unknown_model_argument_names_the_nearest():
    with pytest.raises(OptionError, match=r"received 'width'. Did you mean 'widths'"):
        build_network(Recipe("unet", CLASSES, Pixels(), 3, (8, 8), {"width": [4, 8]}))


def scenes_of(indices, classes=CLASSES):
    samples = [scene(0, index, (48, 64)) for index in indices]
    if classes is not CLASSES:
        table = CLASSES.table_to(classes)
        samples = [type(one)(one.image, one.segments.with_classes(table[one.segments.classes]), one.key) for one in samples]
    return Dataset.from_samples(samples, classes)


def test_evaluation_is_the_metric_over_single_predictions_whatever_the_batch(model):
    data = scenes_of(range(5))
    alone = Semantic(CLASSES)
    for sample in data:
        alone.update(sample.segments, model(sample.image), sample.key)
    for batch_size in (1, 2, 5):
        metric = evaluate_network(model.network, data, model.recipe, batch_size=batch_size)
        assert np.array_equal(metric.compute(intervals=0).confusion, alone.compute(intervals=0).confusion)
    assert not model.network.training


def test_classes_are_matched_by_name_not_by_position(model):
    shuffled = ClassSet(tuple(reversed(CLASSES.names)))
    here = evaluate_network(model.network, scenes_of(range(2)), model.recipe).compute(intervals=0)
    there = evaluate_network(model.network, scenes_of(range(2), shuffled), model.recipe).compute(intervals=0)
    assert there.to_dict()["iou"] == {name: here.to_dict()["iou"][name] for name in shuffled.names}


def test_data_without_a_class_of_the_network_is_refused(model):
    with pytest.raises(DataError, match="expected data with the classes of the network: .*, received none named sign"):
        evaluate_network(model.network, scenes_of([0], ClassSet(CLASSES.names[:-1])), model.recipe)


# -- licences ----------------------------------------------------------------------------------------------------------------


def trained(tmp_path, licence="unknown", **changes):
    data = scenes_of(range(3))
    data = Dataset.from_samples(data, CLASSES, splits={data.keys[0]: "val", data.keys[1]: "train", data.keys[2]: "train"})
    data.licence = licence
    options = {"epochs": 1, "batch_size": 2, "device": "cpu", "out": str(tmp_path / "run"), "quiet": True, **changes}
    return intarsia.load(intarsia.train(data, **options), device="cpu")


def test_a_network_trained_from_nothing_carries_the_terms_of_its_data(tmp_path):
    model = trained(tmp_path, "CC0-1.0", model_args={"widths": [4, 8]})
    assert model.recipe.licences == Licences(code="Apache-2.0", weights="none", data="CC0-1.0")
    folder = model.save_pretrained(tmp_path / "saved")
    assert json.loads((folder / "config.json").read_text())["licences"] == model.recipe.licences.to_dict()
    assert intarsia.load(folder).recipe.licences == model.recipe.licences


def test_encoder_weights_bring_their_licence(tmp_path):
    import timm
    from safetensors.torch import save_file

    state = timm.create_model("test_resnet", features_only=True).state_dict()
    save_file(state, tmp_path / "said.safetensors", {"license": "mit"})
    save_file(state, tmp_path / "silent.safetensors")
    said, silent = (str(tmp_path / f"{name}.safetensors") for name in ("said", "silent"))
    assert encoder_licence("test_resnet", silent) == "unknown"
    model = trained(tmp_path, encoder="test_resnet", weights=said)
    assert model.recipe.licences == Licences(weights="MIT", data="unknown")


@pytest.mark.data
def test_a_known_file_is_known_by_its_hash(data_dir):
    file = data_dir.parent / "weights" / "mobilenet_v2_imagenet_features_fp16.safetensors"
    assert encoder_licence("mobilenetv2_100", str(file)) == "Apache-2.0"


def test_the_licence_of_timms_weights_is_timms_record():
    import timm

    assert encoder_licence("vgg16", "none") == "none"
    assert encoder_licence("vgg16", "timm").lower() == timm.get_pretrained_cfg("vgg16").license
    assert encoder_licence("nowhere", "timm") == "unknown"


def test_a_checkpoint_from_before_the_record_still_loads(model, tmp_path):
    header = model.recipe.to_dict()
    del header["licences"]
    write_tensors(tmp_path / "old.safetensors", model.network.state_dict(), header)
    old = intarsia.load(tmp_path / "old.safetensors", device="cpu", precision="fp32")
    assert old.recipe.licences == Licences(weights="unknown", data="unknown")
    assert not old.recipe.licences.commercial
    image = scene(0, 0, (48, 64)).image
    assert old(image) == model(image)


def test_the_model_card_tells_what_the_model_is(model, tmp_path):
    from dataclasses import replace

    licences = Licences(weights="Apache-2.0", data="CC0-1.0")
    origin = {"data": "scenes", "epoch": 3, "val_mean_iou": 0.51234, "intarsia": "0.1.0"}
    card = model_card(replace(model.recipe, licences=licences, origin=origin), "sea")
    assert card.startswith("---\nlibrary_name: intarsia\npipeline_tag: image-segmentation\nlicense: apache-2.0\n")
    for told in (
        "# sea\n",
        "| trained on | scenes |",
        "| mean IoU on the val split | 0.5123 |",
        "| input | 3 channels at 48 x 64 (height x width) |",
        "| pixels | 0 to 255 become 0 to 1, then mean 0.485, 0.456, 0.406 and standard deviation 0.229, 0.224, 0.225 |",
        "| arguments | widths=[4, 8] |",
        ", ".join(CLASSES.names),
        "- weights: Apache-2.0\n- data: CC0-1.0\n",
        "known to allow commercial use",
    ):
        assert told in card
    assert "None" not in card
    other = model_card(replace(model.recipe, licences=Licences(weights="unknown")), "sea")
    assert "license:" not in other  # nobody has said
    assert "Code and weights are not known to allow commercial use." in other
    assert "license:" not in model_card(model.recipe, "sea")  # what was trained from nothing is its owner's to license
    assert (model.save_pretrained(tmp_path / "saved") / "README.md").read_text() == model_card(model.recipe, "saved")
