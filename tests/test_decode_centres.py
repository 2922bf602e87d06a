"""Centres and offsets to objects: equal to the authors' steps one by one, exact where the network is, and the options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter

from intarsia.core import ClassSet, Dense, Segments
from intarsia.core.errors import InvalidNoun
from intarsia.data.scenes import CLASSES as STREET
from intarsia.data.scenes import scene
from intarsia.decode._centres import instances, panoptic

CLASSES = ClassSet(("sky", "car", "road", "dog"), things=("car", "dog"), nothing=True)
THINGS = [1, 3]


def oracle(truth: Segments, classes: ClassSet, stride: int = 1, sigma: float = 1.0) -> Dense:
    """What a perfect network would say, every `stride`-th pixel being a cell; the truth a partition."""
    size, count = truth.size, len(classes)
    labels = truth.semantic(count)
    heat, offset = np.zeros(size, np.float32), np.zeros((2, *size), np.float32)
    ys, xs = np.indices(size)
    for row in np.flatnonzero(classes.is_thing[truth.classes]):
        mask = truth.mask(row)
        y, x = ys[mask].mean(), xs[mask].mean()
        near = np.exp(-((ys - round(y)) ** 2 + (xs - round(x)) ** 2) / (2 * sigma**2))
        heat = np.maximum(heat, near).astype(np.float32)
        offset[:, mask] = y - ys[mask], x - xs[mask]
    logits = 10 * np.eye(count + 1, dtype=np.float32)[np.where(labels < 0, count, labels)]  # (*S, C)
    middle = slice(stride // 2, None, stride)
    planes = np.concatenate([np.moveaxis(logits, -1, 0), heat[None], offset / stride])[None, :, middle, middle]
    return Dense(planes[:, : count + 1], planes[:, [count + 1]], planes[:, count + 2 :])


def blocks(seed: int = 0, size: tuple[int, int] = (24, 36)) -> Segments:
    """Objects and stuff in rectangles of 4x4 pixels, some of them nothing, some void."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(size[0] * size[1] // 16).reshape(size[0] // 4, size[1] // 4) + 1
    classes = rng.integers(0, 5, rows.size)
    rows[classes[rows - 1] == 4] = 0
    rows[0, :2] = -1
    for stuff in (0, 2):
        rows[(rows > 0) & (classes[rows - 1] == stuff)] = np.flatnonzero(classes == stuff)[0] + 1
    return Segments(rows.repeat(4, axis=0).repeat(4, axis=1)[None], np.minimum(classes, 3)).compact()


def same(answer: Segments, truth: Segments, classes: ClassSet) -> bool:
    """Equal masks of equal classes, in whatever order, but for void."""

    def masks(segments: Segments) -> set[tuple[int, bytes]]:
        return {(int(index), (mask & ~truth.void).tobytes()) for index, mask in zip(segments.classes, segments.masks, strict=True)}

    return masks(answer) == masks(truth)


def by_the_authors(output: Dense, image: int, threshold: float, kernel: int) -> tuple[np.ndarray, dict[int, tuple[int, float]]]:
    """Ids (*S) and the class and score of each, with the functions of their post_processing by name, in plain loops."""
    logits, heat, offset = (np.asarray(part)[image].astype(float) for part in (output.logits, output.centre, output.offset))
    labels = logits.argmax(axis=0)
    # find_instance_center
    kept = np.where(heat[0] > threshold, heat[0], -1)
    kept[kept != maximum_filter(kept, kernel, mode="constant", cval=-np.inf)] = -1
    centres = np.argwhere(kept > 0)
    # group_pixels
    grouped = np.zeros(labels.shape, int)
    for y, x in np.ndindex(labels.shape):
        place = np.array([y + offset[0, y, x], x + offset[1, y, x]])
        grouped[y, x] = 1 + np.linalg.norm(centres - place, axis=1).argmin()
    # get_instance_segmentation
    grouped *= np.isin(labels, THINGS)
    # merge_semantic_and_instance, and the score of section 3.2
    answer, rows = np.zeros(labels.shape, int), {}
    probabilities = torch.from_numpy(logits).softmax(dim=0).numpy()
    for instance in np.unique(grouped[grouped > 0]):
        mask = grouped == instance
        winner = int(np.bincount(labels[mask]).argmax())
        answer[mask] = len(rows) + 1
        rows[len(rows) + 1] = winner, float(heat[0][tuple(centres[instance - 1])] * probabilities[winner][mask].mean())
    for stuff in (0, 2):
        if (labels == stuff).any():
            answer[labels == stuff] = len(rows) + 1
            rows[len(rows) + 1] = stuff, 1.0
    return answer, rows


@pytest.mark.parametrize("kernel", [3, 7])
def test_equal_to_the_authors_steps(kernel: int) -> None:
    rng = np.random.default_rng(0)
    output = Dense(
        rng.normal(0, 3, (2, 5, 17, 23)).astype(np.float32),
        rng.uniform(0, 1, (2, 1, 17, 23)).astype(np.float32),
        rng.normal(0, 4, (2, 2, 17, 23)).astype(np.float32),
    )
    answers = panoptic(output, [(17, 23)] * 2, CLASSES, heat=0.3, kernel=kernel, top=None)
    alone = instances(output, [(17, 23)] * 2, CLASSES, heat=0.3, kernel=kernel, top=None)
    for image, (answer, objects) in enumerate(zip(answers, alone, strict=True)):
        ids, rows = by_the_authors(output, image, 0.3, kernel)
        order = sorted(rows, key=lambda row: (rows[row][0] not in THINGS, -rows[row][1]))
        table = np.zeros(len(rows) + 1, int)
        table[order] = np.arange(1, len(rows) + 1)
        assert np.array_equal(answer.ids[0], table[ids])
        assert answer.classes.tolist() == [rows[row][0] for row in order]
        np.testing.assert_allclose(answer.scores, [rows[row][1] for row in order], rtol=1e-5)
        things = np.isin(answer.classes, THINGS)
        assert len(objects) == things.sum() > 3
        assert objects == answer.select(things)


@pytest.mark.parametrize("seed", range(5))
def test_a_perfect_network_gives_the_truth(seed: int) -> None:
    truth = blocks(seed)
    output = oracle(truth, CLASSES)
    [answer] = panoptic(output, [truth.size], CLASSES)
    assert same(answer, truth, CLASSES)
    [answer] = instances(output, [truth.size], CLASSES)
    assert same(answer, truth.select(CLASSES.is_thing[truth.classes]), CLASSES)


def test_a_perfect_network_gives_the_street_scene() -> None:
    for index in range(3):
        truth = scene(seed=0, index=index).segments
        [answer] = panoptic(oracle(truth, STREET, sigma=2.0), [truth.size], STREET)
        assert same(answer, truth, STREET)


@pytest.mark.parametrize("tensor", [np.asarray, torch.from_numpy])
def test_a_coarse_grid_at_another_size(tensor: Any) -> None:
    """Objects of whole cells, at five times the network's size: the outlines are those of the semantic answer."""
    ids = np.zeros((12, 18), int)
    ids[1:5, 1:7], ids[1:5, 7:15], ids[7:11, 2:10], ids[7:11, 13:17] = 1, 2, 3, 4
    coarse = Segments(ids[None], [1, 3, 1, 3])
    output = oracle(coarse, CLASSES)
    output = Dense(*(tensor(part) for part in (output.logits, output.centre, output.offset)))
    [answer] = panoptic(output, [(60, 90)], CLASSES)
    expected = ids.repeat(5, axis=0).repeat(5, axis=1)
    for row, index in enumerate(coarse.classes):
        [found] = [k for k in range(4) if (answer.mask(k) & (expected == row + 1)).sum() > answer.areas[k] / 2]
        assert answer.classes[found] == index
        union = (answer.mask(found) | (expected == row + 1)).sum()
        assert (answer.mask(found) & (expected == row + 1)).sum() / union > 0.95
    assert (answer.ids[0] > 0).sum() == pytest.approx((expected > 0).sum(), rel=0.05)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(31, 50), (8, 9), (1, 3)])
def test_offsets_are_enlarged_as_torch_does(align_corners: bool, size: tuple[int, int]) -> None:
    """Offsets of any kind, two centres: the pixel goes to the nearer one of where it is led to, in pixels."""
    rng = np.random.default_rng(1)
    offset = rng.normal(0, 3, (1, 2, 8, 9)).astype(np.float32)
    centre = np.zeros((1, 1, 8, 9), np.float32)
    centre[0, 0, 2, 1], centre[0, 0, 5, 7] = 1, 0.5
    output = Dense(np.zeros((1, 1, 8, 9), np.float32), centre, offset, align_corners=align_corners)
    [answer] = instances(output, [size], ClassSet(("car",), things=("car",)))
    ways = torch.nn.functional.interpolate(torch.from_numpy(offset), size, mode="bilinear", align_corners=align_corners)[0].numpy()
    scale = [(n - 1) / (cells - 1) if align_corners else n / cells for n, cells in zip(size, (8, 9), strict=True)]
    start = [0, 0] if align_corners else [n / cells / 2 - 0.5 for n, cells in zip(size, (8, 9), strict=True)]
    ys, xs = np.indices(size)
    distances = [
        (ys + ways[0] * scale[0] - (start[0] + scale[0] * y)) ** 2 + (xs + ways[1] * scale[1] - (start[1] + scale[1] * x)) ** 2
        for y, x in ((2, 1), (5, 7))
    ]
    clear = np.abs(distances[0] - distances[1]) > 0.5  # cv2's weights are multiples of 1/32 with aligned corners
    expected = np.where(distances[0] < distances[1], 1, 0.5)
    assert np.array_equal(answer.scores[answer.ids[0] - 1][clear], expected[clear])
    assert clear.mean() > 0.6


def said(labels: Any, centre: Any, offset: Any = None, channels: int = 5) -> Dense:
    """One image of labels (*s), heat (*s) and offsets, by default none."""
    labels, centre = np.asarray(labels), np.asarray(centre, np.float32)
    logits = 20 * np.moveaxis(np.eye(channels, dtype=np.float32)[labels], -1, 0)[None]
    return Dense(logits, centre[None, None], np.zeros((1, 2, *labels.shape)) if offset is None else np.asarray(offset)[None])


def test_without_centres_things_are_nothing() -> None:
    output = said([[1, 1, 0, 4]], [[0.05, 0.1, 0.9, 0.9]])
    [answer] = panoptic(said([[1, 1, 0, 4]], [[0.05, 0.1, 0.0, 0.0]]), [(1, 4)], CLASSES)
    assert (answer.ids.tolist(), answer.classes.tolist()) == ([[[0, 0, 1, 0]]], [0])
    [answer] = panoptic(output, [(1, 4)], CLASSES)  # a centre may lie outside its object
    assert (answer.ids.tolist(), answer.classes.tolist()) == ([[[1, 1, 2, 0]]], [1, 0])
    [answer] = instances(said([[0, 4]], [[0.9, 0.9]]), [(1, 2)], CLASSES)  # a centre without things
    assert (answer.ids.tolist(), len(answer)) == ([[[0, 0]]], 0)


def test_most_pixels_say_the_class_and_the_first_of_equals() -> None:
    [answer] = instances(said([[3, 1, 3, 4]], [[0, 1, 0, 0]]), [(1, 4)], CLASSES)
    assert (answer.ids.tolist(), answer.classes.tolist()) == ([[[1, 1, 1, 0]]], [3])
    assert answer.scores.tolist() == pytest.approx([2 / 3])  # of its pixels one says dog with no probability
    [answer] = instances(said([[3, 1]], [[0, 1]]), [(1, 2)], CLASSES)
    assert answer.classes.tolist() == [1]


def test_equal_neighbours_are_one_centre_in_their_middle() -> None:
    heat = [[0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5]]
    [answer] = instances(said([[1] * 8], heat), [(1, 8)], CLASSES)
    assert answer.ids.tolist() == [[[1, 1, 1, 1, 1, 2, 2, 2]]]  # 1.5 and 7: the border is at 4.25


def test_the_options() -> None:
    labels = [[1, 1, 1, 1, 1, 1, 0, 2]]
    heat = [[0.9, 0, 0.6, 0, 0.3, 0, 0, 0]]

    def ids(**options: Any) -> list[int]:
        [answer] = panoptic(said(labels, heat), [(1, 8)], CLASSES, **{"kernel": 3} | options)
        return list(answer.ids[0, 0])

    assert ids() == [1, 1, 2, 2, 3, 3, 4, 5]  # pixels 1 and 3 are as near to either side
    assert ids(top=2) == [1, 1, 2, 2, 2, 2, 3, 4]
    assert ids(heat=0.6) == [1, 1, 1, 1, 1, 1, 2, 3]
    assert ids(kernel=5) == [1, 1, 1, 1, 1, 1, 2, 3]  # 0.9 is above 0.6, which is above 0.3
    assert ids(score=0.5) == [1, 1, 2, 2, 0, 0, 3, 4]
    assert ids(least_area=0.125)[6:] == [4, 5]
    assert ids(least_area=0.126)[6:] == [0, 0]
    [answer] = instances(said(labels, heat), [(1, 8)], CLASSES, kernel=3, max_detections=1)
    assert (len(answer), answer.ids[0, 0, 4:].tolist()) == (1, [0, 0, 0, 0])
    np.testing.assert_allclose(answer.scores, [0.9], rtol=1e-5)


def test_a_heat_beyond_1_is_a_score_of_1() -> None:
    [answer] = instances(said([[1]], [[1.25]]), [(1, 1)], CLASSES)
    assert answer.scores[0] <= 1


def test_logits_without_a_channel_for_nothing() -> None:
    [answer] = panoptic(said([[1, 0]], [[1, 0]], channels=4), [(1, 2)], CLASSES)
    assert (answer.ids.tolist(), answer.classes.tolist()) == ([[[1, 2]]], [1, 0])


@pytest.mark.parametrize("decode", [instances, panoptic])
def test_what_cannot_be_decoded(decode: Any) -> None:
    flat = said([[1, 0]], [[1, 0]])
    with pytest.raises(InvalidNoun, match="expected a Dense output with centre and offset, received one without"):
        decode(Dense(flat.logits), [(1, 2)], CLASSES)
    volume = Dense(np.zeros((1, 5, 2, 2, 2)), np.zeros((1, 1, 2, 2, 2)), np.zeros((1, 3, 2, 2, 2)))
    with pytest.raises(InvalidNoun, match="because objects are grouped in planes only"):
        decode(volume, [(2, 2, 2)], CLASSES)
    with pytest.raises(InvalidNoun, match=r"expected \(B, 8, \*s\), or \(B, 9, \*s\) with nothing last, received \(1, 5, 1, 2\)"):
        decode(flat, [(1, 2)], STREET)
    with pytest.raises(InvalidNoun, match="expected one for each of 1 images, received 2"):
        decode(flat, [(1, 2)] * 2, CLASSES)
