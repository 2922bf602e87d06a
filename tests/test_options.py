"""Options: checked at birth, and the same after a round trip through TOML."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intarsia.core.errors import OptionError
from intarsia.engine import options as module
from intarsia.engine.options import FineTuneOptions, LrFindOptions, TrainOptions
from intarsia.engine.settings import from_toml, to_toml

WRONG = {
    "epochs": (0, "--epochs: expected a whole number of at least 1, received 0"),
    "batch_size": (2.5, "--batch-size: expected a whole number of at least 1, received 2.5"),
    "accumulate": (True, "--accumulate: expected a whole number of at least 1, received True"),
    "lr": (0, "--lr: expected a number above 0, received 0"),
    "weight_decay": (float("nan"), "--weight-decay: expected a number of at least 0, received nan"),
    "fraction": (1.5, "--fraction: expected a number above 0 and at most 1, received 1.5"),
    "ema": (1.0, "--ema: expected a number of at least 0 and below 1, received 1.0"),
    "flip": ("often", "--flip: expected a number of at least 0 and at most 1, received 'often'"),
    "optimizer": ("lion", "--optimizer: expected one of adamw, adam, sgd, received 'lion'"),
    "augment": (1, "--augment: expected true or false, received 1"),
    "model": (8, "--model: expected a text, received 8"),
    "size": (256, "--size: expected 2 values, received 256"),
    "mean": (0.5, "--mean: expected a list of values, received 0.5"),
    "scale": ((2.0, 0.5), r"--scale: expected smallest before largest, received (2.0, 0.5)"),
    "loss": ({"dice": "much"}, "--loss: expected a number, received {'dice': 'much'}"),
    "model_args": ({"norm": object}, "--model-args: expected text, numbers, true or false, and lists or tables of these, received"),
    "half_size": (3, "--half-size: expected a number of at least 0 and at most 1, received 3"),
    "weights": ("timm", "--weights: expected an --encoder that takes them, received 'timm'"),
    "freeze": (1.5, "--freeze: expected a number of at least 0 and at most 1, received 1.5"),
    "layer_decay": (0.0, "--layer-decay: expected a number above 0 and at most 1, received 0.0"),
    "minutes": (0, "--minutes: expected a number above 0, received 0"),
    "rare_crops": (1.1, "--rare-crops: expected a number of at least 0 and at most 1, received 1.1"),
    "loss_args": ({"dise.smooth": 1}, "--loss-args dise: expected a loss that --loss names. Did you mean 'dice'?"),
    "std": ((0.2,), "--mean and --std: expected as many values each, received None and (0.2,)"),
    "track": (
        ["tensorboard", "neptune"],
        "--track: expected one of tensorboard, wandb, mlflow, received ['tensorboard', 'neptune']",
    ),
}


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_value_names_its_flag_and_what_was_expected(key):
    value, text = WRONG[key]
    with pytest.raises(OptionError) as caught:
        TrainOptions(**{key: value})
    assert str(caught.value).startswith(text)


def test_more_contradictions():
    with pytest.raises(OptionError, match="--std: expected values above 0"):
        TrainOptions(mean=(0.5,), std=(0.0,))
    with pytest.raises(OptionError, match="--loss: expected at least one name=weight above 0"):
        TrainOptions(loss={"dice": 0.0})
    with pytest.raises(OptionError, match="--loss-args: expected loss.option=value, such as focal.gamma=2, received gamma=2"):
        TrainOptions(loss_args={"gamma": 2})
    with pytest.raises(OptionError, match="--encoder: expected none, because runs/a brings its own, received resnet18"):
        TrainOptions(start_from="runs/a", encoder="resnet18")
    with pytest.raises(OptionError, match=r"--lowest: expected below --highest 10\.0, received 11\.0"):
        LrFindOptions(lowest=11)
    with pytest.raises(OptionError, match="--epochs"):
        LrFindOptions(epochs=0)  # the checks of the training come along


def test_values_take_the_declared_types():
    given = TrainOptions(
        lr=1, size=[np.int64(64), 96], encoder="a", weights=Path("w.safetensors"), model_args={"widths": [8, [16]]}
    )
    assert type(given.lr) is float
    assert given.size == (64, 96)
    assert type(given.size[0]) is int
    assert given.weights == "w.safetensors"
    assert given.model_args == {"widths": (8, (16,))}
    with pytest.raises(OptionError, match="--seed"):
        replace(given, seed=-1)


values = st.recursive(
    st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=6,
)
text = st.text(st.characters(exclude_categories=["Cs"]))
whole = st.builds(
    LrFindOptions,
    model=text,
    model_args=st.dictionaries(text, values, max_size=3),
    encoder=text,
    weights=text,
    name=st.none() | text,
    size=st.none() | st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    lr=st.floats(1e-12, 1e6),
    loss=st.dictionaries(text, st.floats(0.001, 100), min_size=1, max_size=3),
    augment=st.booleans(),
    track=st.lists(st.sampled_from(["tensorboard", "wandb", "mlflow"]), max_size=3),
)


@given(whole)
def test_toml_gives_the_equal_options_back(options):
    assert from_toml(LrFindOptions, to_toml(options)) == options


def test_none_is_the_default_wherever_it_is_allowed():
    # TOML has no null: to_toml leaves None out, and so the default must be None
    assert all(field.default is None for field in fields(LrFindOptions) if "None" in field.type)


def test_options_of_losses_are_kept_by_loss():
    options = TrainOptions(loss={"focal": 1.0, "my.losses:Mine": 1.0}, loss_args={"focal.gamma": 2, "my.losses:Mine.power": 3.0})
    assert options.loss_args == {"focal": {"gamma": 2}, "my.losses:Mine": {"power": 3.0}}
    assert from_toml(TrainOptions, to_toml(options)) == options
    assert replace(options, lr=1.0).loss_args == options.loss_args


def test_fine_tuning_has_defaults_of_its_own_and_becomes_a_training():
    options = FineTuneOptions(epochs=14)
    assert (options.freeze, options.lr, options.layer_decay) == (0.2, 5e-4, 0.8)
    training = options.of("runs/a")
    assert type(training) is TrainOptions
    assert (training.start_from, training.freeze) == ("runs/a", 0.2)
    with pytest.raises(OptionError, match="--start-from: expected the source runs/a, received runs/b. Leave it out."):
        FineTuneOptions(start_from="runs/b").of("runs/a")


def test_toml_of_the_defaults_is_short_and_flat():
    text = to_toml(TrainOptions())
    assert "encoder" not in text.split("[")[0].replace("encoder_lr_factor", "")
    assert text.endswith("[model_args]\n\n[data_args]\n\n[loss]\n\n[loss_args]\n\n[decode_args]\n")
    assert "scale = [0.75, 2.0]\n" in text


def test_an_unknown_key_gets_the_nearest(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("epoch = 3\n")
    with pytest.raises(OptionError) as caught:
        from_toml(TrainOptions, file)
    assert str(caught.value) == f"unknown option epoch in {file}. Did you mean 'epochs'?"


def test_a_wrong_type_names_key_and_file(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('batch_size = "8"\n')
    with pytest.raises(OptionError) as caught:
        from_toml(TrainOptions, file)
    assert str(caught.value) == f"batch_size in {file}: expected a whole number of at least 1, received '8'"


@pytest.mark.parametrize(("content", "text"), [(None, "no such file"), ("epochs = = 3", "Invalid value"), ("\xff", "decode")])
def test_a_file_that_is_no_toml(content, text, tmp_path):
    file = tmp_path / "run.toml"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    with pytest.raises(OptionError, match=rf"run\.toml: expected a TOML file of options, received .*{text}"):
        from_toml(TrainOptions, file)


def test_overrides_go_before_the_file(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('encoder = "resnet18"\nepochs = 3\nseed = 5\n')
    options = from_toml(TrainOptions, file, epochs=4, weights="timm")
    assert (options.epochs, options.seed, options.weights) == (4, 5, "timm")


@pytest.mark.parametrize("kind", [TrainOptions, LrFindOptions, FineTuneOptions])
def test_every_field_has_its_help(kind):
    tree = ast.parse(inspect.getsource(module))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    for field, after in pairwise(body):
        if isinstance(field, ast.AnnAssign):
            assert isinstance(after, ast.Expr), f"{field.target.id} has no text under it"
            assert after.value.value.endswith(".")


def test_options_load_no_torch():
    code = "import sys, intarsia.engine.options; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
