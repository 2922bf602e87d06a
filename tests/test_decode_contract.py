"""What every decoder in the folder must meet: an oracle's output gives the truth back, and ties fall the same way each time.

A decoder reads some kinds of Output; `ORACLES` says, per kind, how a perfect network would put the truth. A decoder is tried with
the kinds it accepts, and must accept one. In the truth here each class is one object, so that all three questions have one answer.
"""

from __future__ import annotations

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_map_only

import intarsia.models  # noqa: F401  (makes outputs known to torch as trees)
from intarsia.core import ClassSet, Dense, Output, Queries, Regions, Segments
from intarsia.core.catalogue import find, members
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.decode.instance import instance
from intarsia.decode.panoptic import panoptic

CLASSES = ClassSet(("a", "b", "c"), things=("a", "b", "c"), nothing=True)
COUNT = len(CLASSES)
DECODERS = members("decode")


def dense(truths: list[Segments]) -> Dense:
    """One-hot logits at scale 10, at full size; void is anything, here nothing."""
    labels = np.stack([truth.semantic(COUNT) for truth in truths])  # (B, *S)
    labels = np.where(labels < 0, COUNT, labels)
    return Dense(np.moveaxis(10 * np.eye(COUNT + 1, dtype=np.float32)[labels], -1, 1))  # (B, C, *S)


def centres(truths: list[Segments]) -> Dense:
    """The same, a heat of 1 at the middle of each object, and the way there from each pixel."""
    output = dense(truths)
    heat, offset = np.zeros_like(output.logits[:, :1]), np.zeros_like(output.logits[:, :2])
    for image, truth in enumerate(truths):
        for mask in truth.masks:
            places = np.argwhere(mask)  # (n, 2)
            middle = places.mean(axis=0).round().astype(int)
            heat[image, 0, *middle] = 1
            offset[image, :, *places.T] = middle - places
    return replace(output, centre=heat, offset=offset)


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": -0.1},
        {"score": "x"},
        {"mask": 1.5},
        {"max_detections": 0},
        {"max_detections": 2.5},
        {"heat": np.nan},
        {"kernel": 4},
    ],
)
def test_thresholds_that_cannot_be(wrong):
    [(name, value)] = wrong.items()
    with pytest.raises(OptionError, match=f"threshold {name}: expected .* received {re.escape(repr(value))}"):
        instance(regions([Segments.empty((4, 4))]), [(4, 4)], CLASSES, **wrong)
    if name not in ("mask", "max_detections"):
        with pytest.raises(OptionError, match=f"threshold {name}"):
            panoptic(regions([Segments.empty((4, 4))]), [(4, 4)], CLASSES, **wrong)


@pytest.mark.parametrize("kind", ["centres", "queries", "boxed", "regions"])
def test_stuff_is_no_instance(kind):
    street = ClassSet(CLASSES.names, things=("b",), nothing=True)
    ids = np.repeat(np.repeat([[[1, 2], [3, 0]]], 16, axis=1), 16, axis=2)
    truth = Segments(ids, [0, 1, 2])
    make = {"centres": centres, "queries": queries, "boxed": boxed, "regions": regions}[kind]
    [found] = instance(make([truth]), [(32, 32)], street, score=0.5)
    assert found.classes.tolist() == [1]
    np.testing.assert_array_equal(found.mask(0), truth.mask(1))


def test_all_objects_are_told_of_an_image_with_many():
    """Those of query networks are the 100 best, unless more are asked for."""
    ids = np.arange(1, 257).reshape(1, 16, 16).repeat(4, axis=1).repeat(4, axis=2)
    truth = Segments(ids, np.full(256, CLASSES.is_thing.argmax()))
    for make, found in ((centres, 256), (regions, 256), (queries, 100), (boxed, 100)):
        assert len(instance(make([truth]), [(64, 64)], CLASSES, score=0.0)[0]) == found
        assert len(instance(make([truth]), [(64, 64)], CLASSES, score=0.0, max_detections=200)[0]) == 200


def queries(truths: list[Segments]) -> Queries:
    """A query for each row, whose mask is a prototype of its own."""
    most = max(len(truth) for truth in truths)
    said = np.full((len(truths), most, COUNT + 1), -10, np.float32)
    prototypes = np.full((len(truths), most, *truths[0].size), -10, np.float32)
    for image, truth in enumerate(truths):
        said[image, range(len(truth)), truth.classes] = 10
        said[image, len(truth) :, -1] = 10
        prototypes[image, : len(truth)][truth.masks] = 10
    return Queries(said, np.eye(most, dtype=np.float32)[None].repeat(len(truths), axis=0), prototypes)


def boxed(truths: list[Segments]) -> Queries:
    """The same, with the box of each row."""
    output = queries(truths)
    boxes = np.zeros((len(truths), output.classes.shape[1], 4), np.float32)
    for image, truth in enumerate(truths):
        boxes[image, : len(truth)] = truth.boxes / np.tile(truth.size[::-1], 2)
    return replace(output, boxes=boxes, priors=boxes[0])


def regions(truths: list[Segments]) -> Regions:
    """The mask of each row cut out by its box and brought to 56x56, and a branch for each pixel."""
    rows: dict[str, list[np.ndarray]] = {"boxes": [], "classes": [], "scores": [], "masks": []}
    for truth in truths:
        masks = np.zeros((len(truth), 56, 56), np.float32)
        for row, (x0, y0, x1, y1) in enumerate(truth.boxes.astype(int)):
            crop = truth.masks[row, y0:y1, x0:x1].astype(np.float32)
            masks[row] = cv2.resize(crop, (56, 56), interpolation=cv2.INTER_NEAREST)
        rows["boxes"].append(truth.boxes / np.tile(truth.size[::-1], 2).astype(np.float32))
        rows["classes"].append(truth.classes)
        rows["scores"].append(np.full(len(truth), 0.99, np.float32))
        rows["masks"].append(masks)
    return Regions(**{kind: tuple(values) for kind, values in rows.items()}, semantic=dense(truths))


ORACLES = [dense, centres, queries, boxed, regions]
ROUGH = (boxed, regions)
"""Their masks come by way of their boxes."""


def truth(seed: int = 0, size: tuple[int, ...] = (12, 18), block: int = 3) -> Segments:
    """A partition into rectangles of classes 0 and 2 (1 is absent), with some nothing and some void."""
    labels = np.random.default_rng(seed).choice([0, 2, COUNT], size=tuple(n // block for n in size))
    for axis in range(len(size)):
        labels = labels.repeat(block, axis=axis)
    labels[(slice(0, 2),) * len(size)] = -1
    return Segments.from_semantic(labels, COUNT)


def accepted(name: str, truths: list[Segments]) -> list[tuple[bool, Output]]:
    """The oracle outputs of the kinds this decoder reads, and whether masks come back roughly."""
    outputs = []
    for oracle in ORACLES:
        if oracle is not dense and len(truths[0].size) == 3:
            continue  # objects are told apart in planes
        output = oracle(truths)
        try:
            find("decode", name)(output, [t.size for t in truths], CLASSES)
        except InvalidNoun:
            continue
        outputs.append((oracle in ROUGH, output))
    return outputs


@pytest.fixture(params=DECODERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_oracle_is_read_by_one_and_every_decoder_reads_some():
    read = {name: len(accepted(name, [truth()])) for name in DECODERS}
    assert read == {"semantic": 4, "instance": 4, "panoptic": 3}


@pytest.mark.parametrize(("size", "block"), [((12, 18), 3), ((6, 9, 12), 3), ((72, 108), 18)])
def test_the_oracle_gives_the_truth_back(name, size, block):
    truths = [truth(0, size, block), truth(1, size, block)]
    for rough, output in accepted(name, truths):
        for answer, expected in zip(find("decode", name)(output, [size, size], CLASSES), truths, strict=True):
            known = ~expected.void
            right = answer.semantic(COUNT)[known] == expected.semantic(COUNT)[known]
            assert right.mean() > ((0.9 if block > 3 else 0.5) if rough else 1 - 1e-9)  # pixels along an outline are few of many
            assert not answer.void.any(), "a prediction has no void"
            assert answer.confidence is None


def test_each_image_comes_at_its_own_size(name):
    for _, output in accepted(name, [truth(0), truth(1)]):
        answers = find("decode", name)(output, [(24, 36), (31, 17)], CLASSES)
        assert [answer.size for answer in answers] == [(24, 36), (31, 17)]
        assert all(len(answer) for answer in answers)


@pytest.mark.parametrize("size", [(12, 18), (40, 40), (24, 36), (5, 7)])
def test_ties_fall_to_the_first_class(name, size):
    """Where nothing is said for one class rather than another, at the grid's size, above and below it."""
    for _, output in accepted(name, [truth(0)]):
        silent = tree_map_only(np.ndarray, np.zeros_like, output)
        for confidence in (False, True):
            [answer], [again] = (find("decode", name)(silent, [size], CLASSES, confidence=confidence) for _ in range(2))
            assert answer.size == size
            assert answer == again
            assert set(answer.classes.tolist()) <= ({0} if isinstance(output, Dense | Regions) else {0, 1, 2})


def test_the_surest_comes_first(name):
    if name == "instance":
        for _, output in accepted(name, [truth(0)]):
            [answer] = find("decode", name)(output, [(24, 36)], CLASSES)
            assert (np.diff(answer.scores) <= 0).all()


def test_confidence_comes_when_asked(name):
    for _, output in accepted(name, [truth(0)]):
        [plain] = find("decode", name)(output, [(24, 36)], CLASSES)
        [answer] = find("decode", name)(output, [(24, 36)], CLASSES, confidence=True)
        np.testing.assert_array_equal(answer.ids, plain.ids)
        assert answer.confidence is not None
        assert answer.confidence.shape == (24, 36)
        assert np.all((answer.confidence > 0) & (answer.confidence <= 1))
        assert np.all((answer.scores > 0) & (answer.scores <= 1))


def test_tensors_and_arrays_decode_alike(name):
    for _, output in accepted(name, [truth(0)]):
        [from_array] = find("decode", name)(output, [(24, 36)], CLASSES)
        tensors = tree_map_only(np.ndarray, torch.from_numpy, output)
        [from_tensor] = find("decode", name)(tensors, [(24, 36)], CLASSES)
        assert from_array == from_tensor


def test_only_decoders_are_members():
    assert DECODERS == ["instance", "panoptic", "semantic"]


def test_channels_follow_the_class_set():
    assert CLASSES.channels == dense([truth()]).logits.shape[1]
