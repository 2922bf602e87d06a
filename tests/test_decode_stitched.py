"""Objects put together across windows: each once and whole, however the image is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intarsia.core import ClassSet, Segments
from intarsia.decode import Tiling, stitched
from intarsia.ops.packing import pack

TWO = ClassSet(("road", "car", "bus"), things=("car", "bus"))


def as_image(segments):
    """(H, W, L) the ids, so that a predictor finds in a window what is there."""
    return np.moveaxis(segments.ids, 0, -1).astype(np.int16)


def seeing(truth, scores=None):
    """A predictor that says of a window what is in it."""

    def predict(window):
        whole = Segments(np.moveaxis(window, -1, 0), truth.classes, scores=truth.scores if scores is None else scores)
        return whole.compact()

    return predict


def ellipses(rng, number, size):
    """Masks (N, *size) that may overlap."""
    y, x = np.ogrid[: size[0], : size[1]]
    middles, axes = rng.uniform(0, size, (number, 2)), rng.uniform(4, 40, (number, 2))
    return np.stack([((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1 for (cy, cx), (ry, rx) in zip(middles, axes, strict=True)])


def rows_of(segments):
    """Class, score and pixels of each segment, in any order."""
    return sorted(
        (int(label), round(float(score), 5), mask.tobytes())
        for label, score, mask in zip(segments.classes, segments.scores, segments.masks, strict=True)
    )


@given(st.integers(0, 10**6), st.sampled_from([(100, 150), (64, 64), (200, 90), (33, 130)]), st.sampled_from([(64, 64), (96, 128)]))
def test_what_every_window_sees_rightly_comes_back_whole(seed, size, tile):
    """Ellipses of two classes, most across a seam, many on top of each other or one within the other."""
    rng = np.random.default_rng(seed)
    masks = ellipses(rng, 8, size)
    masks = masks[masks.any(axis=(1, 2))]
    truth = pack(masks, rng.integers(1, 3, len(masks)), scores=rng.uniform(0.1, 1, len(masks)))
    answer = stitched(seeing(truth), TWO, Tiling(tile, 0.5), same=0.99)(as_image(truth))
    assert rows_of(answer) == rows_of(truth)


def test_stuff_is_one_row_and_its_score_the_mean_over_its_pixels():
    labels = np.zeros((1, 64, 128), np.int16)
    labels[:, :, 100:] = 1
    calls = iter([0.25, 0.75, 0.5])
    predict = stitched(
        lambda window: Segments(np.ones((1, 64, 64), np.int8), [0], scores=[next(calls)]), TWO, Tiling((64, 64), 0.5)
    )
    answer = predict(as_image(Segments(labels, [0])))
    assert answer.areas.tolist() == [64 * 128]
    assert answer.scores.tolist() == pytest.approx([(48 * 0.25 + 32 * 0.75 + 48 * 0.5) / 128])


def test_two_objects_side_by_side_stay_two():
    ids = np.zeros((1, 64, 160), np.int16)
    ids[:, 10:20, 5:150], ids[:, 20:30, 5:150] = 1, 2  # they touch all along
    truth = Segments(ids, [1, 1])
    answer = stitched(seeing(truth), TWO, Tiling((64, 64), 0.5))(as_image(truth))
    assert sorted(answer.areas.tolist()) == [1450, 1450]


def test_one_of_another_class_is_another_object():
    """What one window calls a car and the next a bus stays in two parts, that meet in the middle of what both see."""
    labels = iter([1, 2])
    answer = stitched(lambda window: Segments(np.ones((1, 64, 64), np.int8), [next(labels)]), TWO, Tiling((64, 64), 0.5))(
        np.zeros((64, 96, 1), np.uint8)
    )
    assert (answer.classes.tolist(), answer.areas.tolist()) == ([1, 2], [64 * 48, 64 * 48])


def test_an_object_scores_as_its_best_piece():
    scores = iter([0.3, 0.9, 0.6])
    predict = stitched(
        lambda window: Segments(np.ones((1, 64, 64), np.int8), [1], scores=[next(scores)]), TWO, Tiling((64, 64), 0.5)
    )
    answer = predict(np.zeros((64, 128, 1), np.uint8))
    assert answer.scores.tolist() == pytest.approx([0.9])
    assert answer.areas.tolist() == [64 * 128]


def test_what_only_a_windows_edge_shows_is_not_told():
    """A window that sees an object at its edge is not asked for it where the one beside it sees nothing."""
    windows = iter([True, False])

    def predict(window):
        ids = np.zeros((1, 64, 64), np.int8)
        ids[:, :, 50:] = next(windows)
        return Segments(ids, [1]).compact()

    assert len(stitched(predict, TWO, Tiling((64, 64), 0.5))(np.zeros((64, 96, 1), np.uint8))) == 0


def test_nothing_anywhere_and_beyond_the_edge():
    empty = stitched(lambda window: Segments.empty((64, 64)), TWO, Tiling((64, 64), 0.5))(np.zeros((40, 100, 1), np.uint8))
    assert (len(empty), empty.size) == (0, (40, 100))
    whole = stitched(lambda window: Segments(np.ones((1, *window.shape[:2]), np.int8), [1]), TWO)(np.zeros((40, 100, 1), np.uint8))
    assert whole.boxes.tolist() == [[0, 0, 100, 40]]
