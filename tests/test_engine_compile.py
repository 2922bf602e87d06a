"""torch.compile: its cost is told, keys and results stay, and without a compiler the training goes on."""

from __future__ import annotations

import pytest
import torch

import intarsia
from intarsia.engine import compiling
from intarsia.engine.checkpoint import read_tensors
from intarsia.engine.compiling import Compiled
from intarsia.engine.demo import write_scenes
from intarsia.engine.ingredients import Ingredients

TINY = {"model_args": {"widths": (4, 8)}, "batch_size": 4, "device": "cpu", "precision": "fp32", "lr": 1e-2, "epochs": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("compiled") / "scenes"
    write_scenes(path, 12, size=(32, 40), val=0.25, test=0)
    return path


@pytest.fixture
def eager(monkeypatch):
    """Traced by torch.compile, run by torch itself: no compiler, the same numbers."""
    torch._dynamo.reset()
    monkeypatch.setattr(compiling, "BACKEND", "eager")


def weights(run, name="last"):
    return read_tensors(run.folder / "weights" / f"{name}.safetensors")[0]


def test_a_traced_training_has_the_weights_and_keys_of_a_plain_one_and_tells_its_cost(folder, tmp_path, capsys, eager):
    plain = intarsia.train(folder, out=str(tmp_path / "plain"), quiet=True, **TINY)
    traced = intarsia.train(folder, out=str(tmp_path / "traced"), compile=True, **TINY)
    once, twice = weights(plain), weights(traced)
    assert once.keys() == twice.keys()
    assert all(torch.allclose(once[name], twice[name], atol=1e-5) for name in once)
    said = capsys.readouterr().out
    told = [line for line in said.splitlines() if "--compile: " in line]
    assert len(told) == len(set(told)), "once for each shape"
    assert " s for the first batch of 4x3x" in told[0]
    assert intarsia.load(traced).classes == intarsia.load(plain).classes


def test_it_resumes_to_the_same_weights_frozen_encoder_and_all(folder, tmp_path, monkeypatch, eager):
    options = {**TINY, "compile": True, "freeze": 0.5, "checkpoint_steps": 1, "quiet": True}
    whole = intarsia.train(folder, out=str(tmp_path / "whole"), **options)
    loss_of, calls = Ingredients.loss_of, iter(range(1, 99))

    def broken(self, batch):
        if next(calls) > 3:
            raise KeyboardInterrupt
        return loss_of(self, batch)

    monkeypatch.setattr(Ingredients, "loss_of", broken)
    with pytest.raises(KeyboardInterrupt):
        intarsia.train(folder, out=str(tmp_path / "broken"), **options)
    monkeypatch.setattr(Ingredients, "loss_of", loss_of)
    torch._dynamo.reset()
    resumed = intarsia.resume(tmp_path / "broken", quiet=True)
    once, twice = weights(whole), weights(resumed)
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_without_a_compiler_the_network_runs_as_written():
    def backend(graph, inputs):
        raise RuntimeError("no C++ compiler found\nand more")

    torch._dynamo.reset()
    network, said = torch.nn.Linear(2, 2), []
    forward = Compiled(network, said.append)
    forward.forward = torch.compile(network, backend=backend)
    inputs = torch.ones(1, 2)
    assert torch.equal(forward(inputs), network(inputs))
    assert torch.equal(forward(inputs), network(inputs))
    assert len(said) == 1
    assert said[0].startswith("--compile: torch.compile cannot compile here (")
    assert "no C++ compiler found" in said[0]
    assert said[0].endswith("so the network runs as written")


def test_an_error_of_the_network_itself_comes_through(eager):
    forward = Compiled(torch.nn.Linear(2, 2), lambda text: pytest.fail(text))
    with pytest.raises(RuntimeError):
        forward(torch.ones(1, 3))


@pytest.mark.slow
def test_the_real_compiler_learns_the_same(folder, tmp_path, capsys):
    torch._dynamo.reset()
    plain = intarsia.train(folder, out=str(tmp_path / "plain"), quiet=True, **TINY)
    fast = intarsia.train(folder, out=str(tmp_path / "fast"), compile=True, **TINY)
    said = capsys.readouterr().out
    assert "s for the first batch" in said, said
    once, twice = weights(plain), weights(fast)
    assert once.keys() == twice.keys()
    assert max(float((once[name].double() - twice[name].double()).abs().max()) for name in once) < 0.05
    again = intarsia.train(folder, out=str(tmp_path / "again"), compile=True, quiet=True, **TINY)
    thrice = weights(again)
    assert all(torch.equal(twice[name], thrice[name]) for name in twice)
