"""Boxes and prototypes to objects: suppression as torchvision's, masks enlarged as by torch, an oracle, and what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchvision.ops import batched_nms

from intarsia.core import ClassSet, Queries, Segments
from intarsia.core.errors import InvalidNoun
from intarsia.decode._prototypes import instances, suppressed
from intarsia.ops.packing import pack

CLASSES = ClassSet(("cell", "worm", "ink"), things=("cell", "worm", "ink"))


def random_boxes(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low = rng.uniform(-0.1, 0.8, (count, 2))
    return np.concatenate([low, low + rng.uniform(0.05, 0.5, (count, 2))], axis=1).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("overlap", [0.1, 0.5, 0.7])
def test_suppression_is_torchvisions(seed: int, overlap: float) -> None:
    boxes, rng = random_boxes(seed, 500), np.random.default_rng(seed)
    scores, labels = rng.uniform(0, 1, 500).astype(np.float32), rng.integers(0, 3, 500)
    expected = batched_nms(*map(torch.from_numpy, (boxes, scores, labels)), overlap)
    assert suppressed(boxes, scores, labels, overlap).tolist() == expected.tolist()
    assert len(expected) < 490


def test_of_equal_boxes_the_first_remains() -> None:
    boxes = np.array([[0.0, 0.0, 1.0, 1.0]] * 3)
    assert suppressed(boxes, np.array([0.5, 0.5, 0.4]), np.array([0, 0, 1]), 0.5).tolist() == [0, 2]
    assert suppressed(boxes[:0], np.zeros(0), np.zeros(0, int), 0.5).tolist() == []


def oracle(truth: Segments, grid: tuple[int, int]) -> Queries:
    """What a perfect network would say on a grid that divides the image: each object is a prototype, and each is said twice."""
    height, width = truth.size
    masks = truth.masks
    step = height // grid[0], width // grid[1]
    prototypes = 20 * masks[:, step[0] // 2 :: step[0], step[1] // 2 :: step[1]] - 10.0  # (N, *s)
    count, total = len(truth), len(CLASSES)
    logits = np.full((2 * count + 1, total + 1), -5.0)
    logits[-1, total] = 5  # and one that is nothing
    for row, index in enumerate(truth.classes):
        logits[row, index], logits[count + row, index] = 5 - row / 10, 4
    boxes = np.concatenate([truth.boxes, truth.boxes, [[0, 0, width, height]]]) / [width, height, width, height]
    coefficients = np.concatenate([np.eye(count), np.eye(count), np.ones((1, count))])
    return Queries(logits[None], coefficients[None], prototypes[None], boxes=boxes[None])


def objects() -> Segments:
    """Three, of which two overlap."""
    masks = np.zeros((3, 12, 20), bool)
    masks[0, 1:7, 2:8], masks[1, 4:10, 5:14], masks[2, 2:4, 15:19] = True, True, True
    masks[1, 5:7, 8:10] = False
    return pack(masks, [0, 1, 0])


@pytest.mark.parametrize("tensor", [np.asarray, torch.from_numpy])
def test_the_oracle_gives_the_truth_back(tensor: Any) -> None:
    truth = objects()
    said = oracle(truth, truth.size)
    said = Queries(
        *(tensor(part) for part in (said.classes, said.coefficients, said.prototypes)), boxes=tensor(np.asarray(said.boxes))
    )
    [answer] = instances(said, [truth.size], CLASSES)
    assert np.array_equal(answer.masks, truth.masks)
    assert answer.classes.tolist() == [0, 1, 0]
    expected = [1 / (1 + 3 * np.exp(-5 + row / 10 - 5)) for row in range(3)]
    np.testing.assert_allclose(answer.scores, expected, rtol=1e-5)


def test_masks_are_enlarged_as_torch_does_and_cut_to_their_boxes() -> None:
    rng = np.random.default_rng(0)
    size, boxes = (37, 53), random_boxes(1, 6)
    prototypes, coefficients = rng.normal(0, 1, (1, 4, 9, 14)).astype(np.float32), rng.normal(0, 1, (1, 6, 4)).astype(np.float32)
    logits = np.full((1, 6, 4), -9.0, np.float32)
    logits[0, :, 0] = np.arange(6, 0, -1)
    said = Queries(logits, coefficients, prototypes, boxes=boxes[None])
    [answer] = instances(said, [size], CLASSES, overlap=1.0, mask=0.4)
    planes = torch.einsum("qk,khw->qhw", torch.from_numpy(coefficients[0]), torch.from_numpy(prototypes[0])).sigmoid()
    whole = torch.nn.functional.interpolate(planes[None], size, mode="bilinear")[0].numpy()
    y, x = (np.arange(n) + 0.5 for n in size)
    for row, (x0, y0, x1, y1) in enumerate(boxes * np.array([53, 37, 53, 37])):
        inside = ((y >= y0) & (y < y1))[:, None] & (x >= x0) & (x < x1)
        clear = np.abs(whole[row] - 0.4) > 1e-5
        assert np.array_equal(answer.mask(row)[clear], (inside & (whole[row] > 0.4))[clear])
        assert answer.areas[row] > 0


def said(scores: list[list[float]], boxes: list[list[float]], sign: float = 1.0) -> Queries:
    """Queries of these probabilities of the three classes, whose masks fill their boxes."""
    rest = [1 - sum(row) for row in scores]
    logits = np.log(np.maximum(np.concatenate([scores, np.array(rest)[:, None]], axis=1), 1e-9))
    return Queries(logits[None], np.ones((1, len(scores), 1)), np.full((1, 1, 3, 3), sign), boxes=np.array(boxes)[None])


LEFT, RIGHT = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]


def test_scores_and_classes() -> None:
    output = said([[0.6, 0.3, 0.0], [0.7, 0.0, 0.0], [0.04, 0.04, 0.04]], [LEFT, LEFT, RIGHT])
    [answer] = instances(output, [(2, 4)], CLASSES)
    assert answer.classes.tolist() == [0, 1]  # the first query's first class has a better box; its second has none
    np.testing.assert_allclose(answer.scores, [0.7, 0.3], rtol=1e-5)
    assert answer.ids.tolist() == [[[1, 1, 0, 0]] * 2, [[2, 2, 0, 0]] * 2]
    [answer] = instances(output, [(2, 4)], CLASSES, overlap=1.0)
    assert answer.classes.tolist() == [0, 0, 1]
    [answer] = instances(output, [(2, 4)], CLASSES, score=0.5)
    assert answer.classes.tolist() == [0]
    [answer] = instances(output, [(2, 4)], CLASSES, score=0.01, max_detections=3)
    assert answer.classes.tolist() == [0, 1, 0]
    [answer] = instances(output, [(2, 4)], CLASSES, mask=0.8)
    assert len(answer) == 0  # a mask of 1 / (1 + exp(-1)) is 0.73 everywhere


def test_nothing_found() -> None:
    for output in (
        said([[0.01, 0.0, 0.0]], [LEFT]),
        said([[0.9, 0.0, 0.0]], [LEFT], sign=-1.0),
        said([[0.9, 0, 0]], [[2, 2, 3, 3]]),
    ):
        [answer] = instances(output, [(3, 5)], CLASSES)
        assert (len(answer), answer.ids.tolist()) == (0, np.zeros((1, 3, 5), int).tolist())
    none = Queries(np.zeros((1, 0, 4)), np.zeros((1, 0, 2)), np.zeros((1, 2, 3, 3)), boxes=np.zeros((1, 0, 4)))
    assert len(instances(none, [(3, 5)], CLASSES)[0]) == 0


def test_an_object_smaller_than_a_pixel_is_left_out() -> None:
    [answer] = instances(said([[0.9, 0, 0], [0, 0.8, 0]], [[0.0, 0.0, 0.05, 1.0], RIGHT]), [(2, 4)], CLASSES)
    assert (answer.classes.tolist(), answer.ids.tolist()) == ([1], [[[0, 0, 1, 1]] * 2])


def test_what_cannot_be_decoded() -> None:
    good = said([[0.9, 0, 0]], [LEFT])
    with pytest.raises(InvalidNoun, match="Queries: expected boxes, within which masks are taken, received none"):
        instances(Queries(good.classes, good.coefficients, good.prototypes), [(2, 4)], CLASSES)
    with pytest.raises(InvalidNoun, match=r"Queries classes: expected \(B, Q, 2\), no object last, received \(1, 1, 4\)"):
        instances(good, [(2, 4)], ClassSet(("cell",)))
    with pytest.raises(InvalidNoun, match="sizes: expected one for each of 1 images, received 2"):
        instances(good, [(2, 4)] * 2, CLASSES)
    volume = Queries(np.zeros((1, 1, 4)), np.zeros((1, 1, 1)), np.zeros((1, 1, 2, 2, 2)), boxes=np.zeros((1, 1, 6)))
    with pytest.raises(InvalidNoun, match=r"prototypes: expected \(B, K, H, W\), because boxes are flat"):
        instances(volume, [(2, 2, 2)], CLASSES)
