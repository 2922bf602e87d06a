"""Sets of masks to segments: parity with transformers, and by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import EomtImageProcessor, Mask2FormerImageProcessor

from intarsia.core import ClassSet, Queries, Segments
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.data.scenes import CLASSES, scene
from intarsia.decode import _queries as queries
from intarsia.ops.packing import pack

STREET = ClassSet(("sky", "road", "car", "person"), things=("car", "person"), nothing=True)
SIZE = (16, 16)


def noise(seed: int = 0, batch: int = 2, count: int = 12, sure: float = 3.0) -> Queries:
    """Class logits far enough apart for some of every score, masks of blobs."""
    made = torch.Generator().manual_seed(seed)
    classes = sure * torch.randn(batch, count, 5, generator=made)
    blobs = torch.nn.functional.avg_pool2d(torch.randn(batch, count, 20, 20, generator=made), 5, stride=1) * 8 - 1
    return Queries(classes, torch.eye(count) + 0.1 * torch.randn(batch, count, count, generator=made), blobs)


def as_transformers(output: Queries) -> Any:
    masks = torch.einsum("bqk,bkhw->bqhw", output.coefficients, output.prototypes)
    return SimpleNamespace(class_queries_logits=output.classes, masks_queries_logits=masks, patch_offsets=None)


def oracle(truths: list[Segments], classes: ClassSet, scale: float = 12.0) -> Queries:
    """A query for each row, the mask its own prototype."""
    rows = max(map(len, truths))
    labels = np.full((len(truths), rows, len(classes) + 1), -scale, np.float32)
    labels[..., -1] = scale
    masks = np.full((len(truths), rows, *truths[0].size), -scale, np.float32)
    for image, segments in enumerate(truths):
        each = np.arange(len(segments))
        labels[image, each, -1] = -scale
        labels[image, each, segments.classes] = scale
        masks[image, : len(segments)] += 2 * scale * segments.masks
    return Queries(labels, np.tile(np.eye(rows, dtype=np.float32), (len(truths), 1, 1)), masks)


# -- parity ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(16, 16), (53, 71), (9, 40)])
def test_semantic_as_transformers(size: tuple[int, int]) -> None:
    """Whose masks are first brought to one size for all: here that of the prototypes."""
    output = noise()
    edge = {"shortest_edge": 16, "longest_edge": None}
    theirs = EomtImageProcessor().post_process_semantic_segmentation(as_transformers(output), [size, size], edge)
    closed = ClassSet(STREET.names, things=STREET.things)
    ours = [segments.semantic(4) for segments in queries.semantic(output, [size, size], closed)]
    assert len(np.unique(ours)) == 4
    for mine, expected in zip(ours, theirs, strict=True):
        assert (mine != expected.numpy()).mean() < 1e-3  # where two classes differ by less than float32 rounds


@pytest.mark.parametrize("seed", range(5))
def test_instances_as_transformers(seed: int) -> None:
    """Whose masks are 384x384 at first; there they have no limit to the number, and all classes are things."""
    output = noise(seed)
    every = ClassSet(STREET.names, things=STREET.names)
    theirs = Mask2FormerImageProcessor().post_process_instance_segmentation(
        as_transformers(output), threshold=0.3, return_binary_maps=True
    )
    ours = queries.instances(output, [(384, 384)] * 2, every, score=0.3, max_detections=12)
    for mine, their in zip(ours, theirs, strict=True):
        assert len(mine) == len(their["segments_info"]) > 2
        order = np.argsort([-info["score"] for info in their["segments_info"]], kind="stable")
        for row, place in enumerate(order.tolist()):
            info = their["segments_info"][place]
            assert mine.classes[row] == info["label_id"]
            assert mine.scores[row] == pytest.approx(info["score"], abs=1e-5)
            assert (mine.mask(row) != their["segmentation"][place].numpy()).mean() < 1e-3


@pytest.mark.parametrize("overlap", [0.3, 0.8])
@pytest.mark.parametrize("seed", range(5))
def test_panoptic_as_transformers(seed: int, overlap: float) -> None:
    output = noise(seed, count=8)
    theirs = EomtImageProcessor().post_process_panoptic_segmentation(
        as_transformers(output),
        [(64, 64)] * 2,
        threshold=0.5,
        overlap_mask_area_threshold=overlap,
        stuff_classes=[0, 1],
        size={"shortest_edge": 64, "longest_edge": None},
    )
    ours = queries.panoptic(output, [(64, 64)] * 2, STREET, score=0.5, overlap=overlap)
    for mine, their in zip(ours, theirs, strict=True):
        assert mine.classes.tolist() == [info["label_id"] for info in their["segments_info"]]
        assert (mine.ids[0] != their["segmentation"].numpy() + 1).mean() < 1e-3
        for score, info in zip(mine.scores, their["segments_info"], strict=True):
            assert score >= info["score"] - 1e-5  # the highest of a fused row, where theirs is the first's


def test_parity_meets_kept_dropped_and_fused_queries() -> None:
    """The noise above asks all that there is to be asked."""

    def rows(classes: ClassSet, **options: Any) -> int:
        answers = (queries.panoptic(noise(seed, count=8), [(64, 64)] * 2, classes, score=0.5, **options) for seed in range(5))
        return sum(len(segments) for answer in answers for segments in answer)

    assert rows(STREET, overlap=0.3) > rows(STREET, overlap=0.8) + 3 > 15
    assert rows(ClassSet(STREET.names, things=STREET.names)) > rows(STREET) + 3


# -- the truth comes back ----------------------------------------------------------------------------------------------------


def test_scenes_come_back() -> None:
    truths = [scene(3, index, (48, 64)).segments for index in range(4)]
    output, sizes = oracle(truths, CLASSES), [truths[0].size] * 4
    for truth, answer in zip(truths, queries.panoptic(output, sizes, CLASSES), strict=True):
        assert answer.classes.tolist() == truth.classes.tolist()
        assert (answer.ids == np.maximum(truth.ids, 0)).all()
    for truth, answer in zip(truths, queries.semantic(output, sizes, CLASSES), strict=True):
        assert (answer.semantic(8) == truth.semantic(8))[~truth.void].all()
    for truth, answer in zip(truths, queries.instances(output, sizes, CLASSES), strict=True):
        things = truth.select(CLASSES.is_thing[truth.classes])
        assert sorted(answer.classes.tolist()) == sorted(things.classes.tolist())
        assert {mask.tobytes() for mask in answer.masks} == {mask.tobytes() for mask in things.masks}


def test_overlapping_objects_come_back() -> None:
    masks = np.zeros((2, 8, 8), bool)
    masks[0, :6, :6] = masks[1, 3:, 3:] = True
    truth = pack(masks, [2, 2])
    [answer] = queries.instances(oracle([truth], STREET), [(8, 8)], STREET)
    assert sorted(mask.tobytes() for mask in answer.masks) == sorted(mask.tobytes() for mask in masks)


def test_tensors_are_arrays() -> None:
    output = noise()
    arrays = Queries(output.classes.numpy(), output.coefficients.numpy(), output.prototypes.numpy())
    for decode in (queries.semantic, queries.instances, queries.panoptic):
        assert decode(output, [SIZE] * 2, STREET) == decode(arrays, [SIZE] * 2, STREET)


# -- by hand -----------------------------------------------------------------------------------------------------------------


def by_hand(shares: list[list[float]], masks: list[list[float]]) -> Queries:
    """Queries of one image of one row, of the probabilities of classes and pixels."""
    odds = np.array(masks, np.float32)
    logits = np.log(odds / (1 - odds))  # (Q, W)
    with np.errstate(divide="ignore"):
        classes = np.maximum(np.log(np.array(shares, np.float32)), -50)
    return Queries(classes[None], np.eye(len(masks), dtype=np.float32)[None], logits[None, :, None])


def test_semantic_by_hand() -> None:
    """Evidence: sky 0.9, 0.45, 0.09, 0.09; car 0.04, 0.4, 0.4, 0.08; what is missing to 1 is nothing's."""
    output = by_hand([[0.9, 0, 0, 0, 0.1], [0, 0, 0.8, 0, 0.2]], [[1 - 1e-6, 0.5, 0.1, 0.1], [0.05, 0.5, 0.5, 0.1]])
    [answer] = queries.semantic(output, [(1, 4)], STREET, confidence=True)
    assert answer.semantic(4).tolist() == [[0, 0, 4, 4]]
    np.testing.assert_allclose(answer.confidence, [[0.9, 0.45, 0.51, 0.83]], atol=1e-3)
    np.testing.assert_allclose(answer.scores, [0.675], atol=1e-3)
    [closed] = queries.semantic(output, [(1, 4)], ClassSet(STREET.names, things=STREET.things))
    assert closed.semantic(4).tolist() == [[0, 0, 2, 0]]


def test_much_evidence_is_divided() -> None:
    output = by_hand([[1, 0, 0, 0, 0], [0, 0, 1, 0, 0]], [[0.9], [0.6]])
    [answer] = queries.semantic(output, [(1, 1)], STREET, confidence=True)
    np.testing.assert_allclose(answer.confidence, [[0.6]], atol=1e-3)  # 0.9 of 1.5


def test_instances_by_hand() -> None:
    """Car 0.7 x the mean of 0.9 and 0.8; the same query as a person 0.2 x 0.85; sky is no thing; the third has no pixel."""
    shares = [[0, 0, 0.7, 0.2, 0.1], [0.9, 0, 0.06, 0, 0.04], [0, 0, 0, 1, 0]]
    output = by_hand(shares, [[0.9, 0.8, 0.1], [0.9, 0.9, 0.9], [0.4, 0.4, 0.4]])
    [answer] = queries.instances(output, [(1, 3)], STREET)
    assert answer.classes.tolist() == [2, 3, 2]
    np.testing.assert_allclose(answer.scores, [0.595, 0.17, 0.054], atol=1e-4)
    assert answer.masks[:, 0].astype(int).tolist() == [[1, 1, 0], [1, 1, 0], [1, 1, 1]]
    [few] = queries.instances(output, [(1, 3)], STREET, score=0.1, max_detections=2)
    assert few.classes.tolist() == [2]  # the two best pairs are the third query and the car
    [strict] = queries.instances(output, [(1, 3)], STREET, mask=0.85)
    assert strict.masks[0, 0].tolist() == [True, False, False]


def test_panoptic_by_hand() -> None:
    """Two skies are one row; the second car loses two of its three pixels to the first and is dropped; the person is below 0.8."""
    shares = [[0.9, 0, 0, 0, 0.1], [0.95, 0, 0, 0, 0.05], [0, 0, 1, 0, 0], [0, 0, 0.9, 0, 0.1], [0, 0, 0, 0.7, 0.3]]
    no, yes = 0.01, 0.99
    masks = [
        [yes, no, no, no, no, no],
        [no, yes, no, no, no, no],
        [no, no, yes, yes, no, no],
        [no, no, yes, yes, yes, no],
        [yes, yes, yes, yes, yes, yes],
    ]
    [answer] = queries.panoptic(by_hand(shares, masks), [(1, 6)], STREET)
    assert answer.ids.tolist() == [[[1, 1, 2, 2, 0, 0]]]
    assert answer.classes.tolist() == [0, 2]
    np.testing.assert_allclose(answer.scores, [0.95, 1], atol=1e-5)
    [loose] = queries.panoptic(by_hand(shares, masks), [(1, 6)], STREET, overlap=0.3)
    assert loose.ids.tolist() == [[[1, 1, 2, 2, 3, 0]]]
    [large] = queries.panoptic(by_hand(shares, masks), [(1, 6)], STREET, least_area=0.5)
    assert large.ids.tolist() == [[[0, 0, 1, 1, 0, 0]]]


def test_equal_queries_fall_to_the_first() -> None:
    output = by_hand([[0, 0, 1, 0, 0], [0, 0, 0, 1, 0]], [[0.9, 0.9], [0.9, 0.9]])
    assert queries.panoptic(output, [(1, 2)], STREET)[0].classes.tolist() == [2]
    assert queries.semantic(output, [(1, 2)], STREET)[0].classes.tolist() == [2]
    assert queries.instances(output, [(1, 2)], STREET)[0].classes.tolist() == [2, 3]


@pytest.mark.parametrize("size", [(1, 1), (5, 3)])
def test_no_object_anywhere(size: tuple[int, int]) -> None:
    output = by_hand([[0, 0, 0, 0, 1]], [[0.9, 0.2]])
    for decode in (queries.semantic, queries.instances, queries.panoptic):
        [answer] = decode(output, [size], STREET)
        assert answer == Segments.empty(size)


def test_wrong_shapes_and_options() -> None:
    with pytest.raises(InvalidNoun, match=r"classes of Queries: expected \(B, Q, 3\), no object last, received \(2, 12, 5\)"):
        queries.semantic(noise(), [SIZE] * 2, ClassSet(("a", "b")))
    with pytest.raises(InvalidNoun, match="sizes: expected one for each of 2 images, received 1"):
        queries.panoptic(noise(), [SIZE], STREET)
    with pytest.raises(OptionError, match="mask: expected a number between 0 and 1, received 1"):
        queries.instances(noise(), [SIZE] * 2, STREET, mask=1)
