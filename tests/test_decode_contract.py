"""What every decoder in the folder must meet: an oracle's output gives the truth back, and ties fall the same way each time.

A decoder reads one kind of Output; `ORACLES` says, per kind, how a perfect network would put the truth. A decoder is tried with the
kinds it accepts, and must accept one.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_map_only

import intarsia.models  # noqa: F401  (makes outputs known to torch as trees)
from intarsia.core import ClassSet, Dense, Output, Segments
from intarsia.core.catalogue import find, members
from intarsia.core.errors import InvalidNoun

NUM_CLASSES = 3
DECODERS = members("decode")


def dense(truths: list[Segments], nothing: bool = True) -> Dense:
    """One-hot logits at scale 10, at full size; void is anything, here nothing."""
    labels = np.stack([truth.semantic(NUM_CLASSES) for truth in truths])  # (B, *S)
    channels = NUM_CLASSES + nothing
    labels = np.where(labels < 0, channels - 1, labels)
    return Dense(np.moveaxis(10 * np.eye(channels, dtype=np.float32)[labels], -1, 1))  # (B, C, *S)


ORACLES = [dense]


def truth(seed: int = 0, size: tuple[int, ...] = (12, 18)) -> Segments:
    """A partition into rectangles of classes 0 and 2 (1 is absent), with some nothing and some void."""
    labels = np.random.default_rng(seed).choice([0, 2, NUM_CLASSES], size=tuple(n // 3 for n in size))
    for axis in range(len(size)):
        labels = labels.repeat(3, axis=axis)
    labels[(slice(0, 2),) * len(size)] = -1
    return Segments.from_semantic(labels, NUM_CLASSES)


def accepted(name: str, truths: list[Segments]) -> list[Output]:
    """The oracle outputs of the kinds this decoder reads."""
    outputs = []
    for oracle in ORACLES:
        output = oracle(truths)
        try:
            find("decode", name)(output, [t.size for t in truths], NUM_CLASSES)
        except InvalidNoun:
            continue
        outputs.append(output)
    assert outputs, f"{name} accepts none of the oracle outputs; add its kind to ORACLES"
    return outputs


@pytest.fixture(params=DECODERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("size", [(12, 18), (6, 9, 12)])
def test_the_oracle_gives_the_truth_back(name, size):
    truths = [truth(0, size), truth(1, size)]
    for output in accepted(name, truths):
        for answer, expected in zip(find("decode", name)(output, [size, size], NUM_CLASSES), truths, strict=True):
            known = ~expected.void
            np.testing.assert_array_equal(answer.semantic(NUM_CLASSES)[known], expected.semantic(NUM_CLASSES)[known])
            assert not answer.void.any(), "a prediction has no void"
            assert answer.confidence is None


def test_each_image_comes_at_its_own_size(name):
    truths = [truth(0), truth(1)]
    for output in accepted(name, truths):
        answers = find("decode", name)(output, [(24, 36), (31, 17)], NUM_CLASSES)
        assert [answer.size for answer in answers] == [(24, 36), (31, 17)]


@pytest.mark.parametrize("size", [(12, 18), (40, 40), (24, 36), (5, 7)])
def test_ties_fall_to_the_first_class(name, size):
    """Where nothing is said for one class rather than another, at the grid's size, above and below it."""
    for output in accepted(name, [truth(0)]):
        silent = tree_map_only(np.ndarray, np.zeros_like, output)
        for confidence in (False, True):
            [answer] = find("decode", name)(silent, [size], NUM_CLASSES, confidence=confidence)
            assert answer.semantic(NUM_CLASSES).shape == size
            assert not answer.semantic(NUM_CLASSES).any()


def test_confidence_comes_when_asked(name):
    truths = [truth(0)]
    for output in accepted(name, truths):
        [plain] = find("decode", name)(output, [(24, 36)], NUM_CLASSES)
        [answer] = find("decode", name)(output, [(24, 36)], NUM_CLASSES, confidence=True)
        np.testing.assert_array_equal(answer.ids, plain.ids)
        assert answer.confidence is not None
        assert answer.confidence.shape == (24, 36)
        assert np.all((answer.confidence > 0) & (answer.confidence <= 1))
        assert np.all((answer.scores > 0) & (answer.scores <= 1))


def test_tensors_and_arrays_decode_alike(name):
    for output in accepted(name, [truth(0)]):
        assert isinstance(output, Dense)
        [from_array] = find("decode", name)(output, [(24, 36)], NUM_CLASSES)
        [from_tensor] = find("decode", name)(Dense(torch.from_numpy(output.logits)), [(24, 36)], NUM_CLASSES)
        assert from_array == from_tensor


def test_only_decoders_are_members():
    assert "semantic" in DECODERS
    assert not {"decoded", "flipped"} & set(DECODERS)


def test_channels_follow_the_class_set():
    assert ClassSet(("a", "b", "c"), nothing=True).channels == dense([truth()]).logits.shape[1]
