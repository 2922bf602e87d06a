"""The one warp: where its samples lie, against ramps, torch and single masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intarsia.core import Segments
from intarsia.core.errors import OptionError
from intarsia.ops.packing import pack
from intarsia.ops.planes import blanked
from intarsia.ops.resampling import inside, resizing, warp_ids, warp_image

SIZES = [((40, 50), (40, 50)), ((40, 50), (20, 25)), ((40, 50), (97, 61)), ((40, 50), (13, 90)), ((41, 53), (7, 9))]
MATRICES = {
    "window": [[1.0, 0, 3], [0, 1.0, 5], [0, 0, 1]],
    "part of a pixel": [[0.713, 0, 3.3], [0, 1.317, 2.6], [0, 0, 1]],
    "mirrored": [[1.0, 0, 0], [0, -1.0, 60], [0, 0, 1]],
    "turned": [[0.913, -0.317, 14.1], [0.317, 0.913, 3.3], [0, 0, 1]],
    "turned and shrunk": [[1.413, -0.617, 20], [0.617, 1.413, -8], [0, 0, 1]],
    "shrunk threefold and turned": [[3.017, -0.513, 4], [0.513, 3.017, -9], [0, 0, 1]],
    "zoomed out": [[1.717, 0, -11.1], [0, 1.717, -13.3], [0, 0, 1]],
}


def points(matrix, size):
    """(*size, d) where the centre of each output pixel lies in the source, in pixel edges."""
    centres = np.stack(np.meshgrid(*(np.arange(n) + 0.5 for n in size), indexing="ij"), axis=-1)
    return centres @ matrix[:-1, :-1].T + matrix[:-1, -1]


@pytest.mark.parametrize("name", MATRICES)
def test_a_ramp_shows_where_each_pixel_was_read(name):
    """An image whose values are its own coordinates comes out as the coordinates that were asked for; so do its ids."""
    source, size, matrix = (120, 140), (50, 60), np.array(MATRICES[name])
    rows, cols = np.indices(source)
    image = np.stack([rows + 0.5, cols + 0.5], axis=-1).astype(np.float32)
    where = points(matrix, size)
    within = ((where >= 0) & (where < source)).all(axis=-1)
    step = max(1.0, np.abs(matrix[:2, :2]).sum(axis=1).max())
    deep = ((where > 3 * step) & (where < np.array(source) - 3 * step)).all(axis=-1)  # away from the edge, which repeats
    assert deep.sum() > 100
    assert np.abs(warp_image(image, matrix, size) - where)[deep].max() < 0.06 * step  # cv2 reads to a 32nd of a pixel
    ids = warp_ids((rows * source[1] + cols)[None].astype(np.int32) + 1, matrix, size)[0]
    expected = np.floor(where).astype(int) @ (source[1], 1) + 1
    clear = (np.abs(where - np.rint(where)) > 1e-9).all(axis=-1)  # elsewhere a point lies between two pixels
    assert clear.mean() > 0.9
    assert np.array_equal(ids[clear], np.where(within, expected, -1)[clear])
    mask = inside(source, matrix, size)
    mask = np.ones(size, bool) if mask is None else mask
    assert np.array_equal(mask[clear], within[clear])
    assert np.array_equal(ids < 0, ~mask)  # on whichever side: void and valid agree


@pytest.mark.parametrize(("source", "size"), SIZES)
def test_ids_are_those_of_torch_nearest_exact(source, size):
    ids = np.arange(np.prod(source)).reshape(1, *source).astype(np.int32)
    theirs = torch.nn.functional.interpolate(torch.from_numpy(ids)[None].double(), size, mode="nearest-exact")[0].numpy()
    assert np.array_equal(warp_ids(ids, resizing(source, size), size), theirs)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.int32, np.float64])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_growing_is_torchs_bilinear(dtype, channels):
    image = np.random.default_rng(0).integers(0, 200, (20, 30, channels)).astype(dtype)
    moved = warp_image(image, resizing((20, 30), (33, 71)), (33, 71))
    raw = torch.from_numpy(np.moveaxis(image, -1, 0).astype(np.float64))[None]
    theirs = torch.nn.functional.interpolate(raw, (33, 71), mode="bilinear", align_corners=False)[0].numpy()
    assert moved.dtype == dtype
    assert np.abs(moved - np.moveaxis(theirs, 0, -1)).max() <= (1 if np.dtype(dtype).kind in "iu" else 1e-3)


@pytest.mark.parametrize("turn", [0.0, 1e-7])
def test_shrinking_averages(turn):
    """One bright pixel in each 5 x 5 block: every block comes out as its mean, by the straight path and by the general one."""
    image = np.zeros((50, 100, 6), np.float32)
    image[2::5, 2::5] = 25
    matrix = resizing((50, 100), (10, 20)) + np.diag([turn, turn], 1)
    assert np.allclose(warp_image(image, matrix, (10, 20)), 1, atol=1e-2)


@pytest.mark.parametrize("turn", [0.0, 1e-7])
@pytest.mark.parametrize("step", [1.51, 1.6, 1.75, 1.9, 2.0, 2.1, 2.5, 3.0, 3.3, 5.7])
def test_no_pixel_is_skipped_however_much_is_shrunk(step, turn):
    """What one source pixel adds to the result is never less than half of what another adds."""
    size = int(90 / step), 4
    matrix = np.array([[step, turn, 0.3 * (90 - step * size[0])], [0, 1, 0], [0, 0, 1]])
    gains = []
    for row in range(12, 78):
        image = np.zeros((90, 4, 1), np.float32)
        image[row] = 100
        gains.append(warp_image(image, matrix, size).sum())
    assert min(gains) > 0.45 * max(gains)
    assert np.isclose(np.mean(gains), 400 / step, rtol=0.05)  # all light arrives


def test_the_straight_path_is_the_general_one():
    """The fast path of whole pixels and the affine one are the same reading."""
    image = np.random.default_rng(0).integers(0, 255, (60, 70, 3)).astype(np.float32)
    matrix = np.array([[0.5, 0, 10], [0, -0.8, 60], [0, 0, 1]])
    turned = matrix + np.array([[0, 1e-12, 0], [0, 0, 0], [0, 0, 0]])
    straight, general = (warp_image(image, m, (40, 50)) for m in (matrix, turned))
    assert np.abs(straight - general)[1:-1, 1:-1].max() < 8  # cv2 below 5 reads to a 32nd of a pixel; steps here reach 255


@st.composite
def masks_and_matrix(draw):
    height, width = draw(st.integers(4, 24)), draw(st.integers(4, 24))
    size = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    masks = np.zeros((draw(st.integers(1, 6)), height, width), bool)
    for mask in masks:
        (top, bottom), (left, right) = np.sort(rng.integers(0, height + 1, 2)), np.sort(rng.integers(0, width + 1, 2))
        mask[top:bottom, left:right] = rng.random((bottom - top, right - left)) < 0.8
    matrix = resizing((height, width), size)
    if draw(st.booleans()):  # turned, moved
        matrix[:2] += rng.normal(0, [[0.3, 0.3, 2]] * 2)
    return masks, matrix, size


@given(masks_and_matrix())
@settings(max_examples=120, deadline=None)
def test_the_masks_of_warped_ids_are_the_warped_masks(case):
    masks, matrix, size = case
    segments = pack(masks, np.zeros(len(masks), int))
    together = Segments(warp_ids(segments.ids, matrix, size), segments.classes).masks
    alone = np.stack([warp_ids(mask[None].view(np.uint8), matrix, size, outside=0)[0].view(bool) for mask in masks])
    assert np.array_equal(together, alone)


def test_layers_above_know_no_void():
    ids = np.ones((2, 4, 4), np.int8)
    moved = warp_ids(ids, np.array([[1.0, 0, -2], [0, 1, 0], [0, 0, 1]]), (4, 4))
    assert moved[:, :, 0].tolist() == [[-1, -1, 1, 1], [0, 0, 1, 1]]


def test_nothing_seen_is_nothing_shown():
    away = np.array([[1.0, 0, 100], [0, 1, 100], [0, 0, 1]])
    assert not warp_image(np.ones((5, 5, 3), np.uint8), away, (4, 6)).any()
    assert (warp_ids(np.ones((1, 5, 5), np.int8), away, (4, 6)) == -1).all()
    deep = np.eye(4)
    deep[0, 3] = 50
    assert not warp_image(np.ones((3, 5, 5, 2), np.uint8), deep, (3, 5, 5)).any()
    assert (warp_ids(np.ones((1, 3, 5, 5), np.int8), deep, (3, 5, 5)) == -1).all()


def test_the_source_is_never_handed_out():
    image = np.ones((4, 4, 3), np.uint8)
    for matrix in (np.eye(3), np.array([[1.0, 0, 1], [0, 1, 1], [0, 0, 1]])):
        assert not np.shares_memory(warp_image(image, matrix, (2, 2)), image)


def test_a_volume_is_read_where_it_was_asked():
    source, size = (12, 30, 40), (9, 20, 25)
    grid = np.indices(source)
    image = np.moveaxis(grid, 0, -1).astype(np.float32) + 0.5
    matrix = np.eye(4)
    matrix[0, [0, 3]] = 0.813, 5.4
    matrix[1:, 1:] = [[0.913, -0.317, 4.1], [0.317, 0.913, 3.3], [0, 0, 1]]
    where = points(matrix, size)
    within = ((where >= 0) & (where < source)).all(axis=-1)
    deep = ((where > 1) & (where < np.array(source) - 1)).all(axis=-1)
    assert 500 < within.sum() < within.size
    assert np.abs(warp_image(image, matrix, size) - where)[deep].max() < 0.04
    ids = np.ravel_multi_index(tuple(grid), source)[None].astype(np.int32) + 1
    expected = np.floor(where).astype(int) @ (source[1] * source[2], source[2], 1) + 1
    assert np.array_equal(warp_ids(ids, matrix, size)[0], np.where(within, expected, -1))
    assert np.array_equal(inside(source, matrix, size), within)


def test_a_flipped_volume_keeps_its_values():
    volume = np.random.default_rng(0).integers(0, 2**16, (5, 6, 7, 2)).astype(np.uint16)
    matrix = np.diag([-1.0, 1, -1, 1])
    matrix[:3, 3] = 5, 0, 7
    assert np.array_equal(warp_image(volume, matrix, (5, 6, 7)), volume[::-1, :, ::-1])


def test_depth_shrinks_by_averaging():
    volume = np.zeros((40, 4, 4, 1), np.float32)
    volume[::2] = 10
    assert np.allclose(warp_image(volume, resizing((40, 4, 4), (10, 4, 4)), (10, 4, 4)), 5, atol=0.6)


def test_depth_may_not_mix_with_the_plane():
    matrix = np.eye(4)
    matrix[0, 1] = 0.5
    with pytest.raises(OptionError, match="warp of a volume: expected depth apart from rows and columns"):
        warp_image(np.ones((3, 4, 5, 1), np.uint8), matrix, (3, 4, 5))


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 130])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.int64])
def test_blanked_is_an_index(channels, dtype):
    rng = np.random.default_rng(0)
    image, within = rng.integers(1, 200, (2, 9, 11, channels)).astype(dtype), rng.random((2, 9, 11)) < 0.5
    expected = image.copy()
    expected[~within] = 0
    assert np.array_equal(blanked(image, within), expected)
