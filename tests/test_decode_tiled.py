"""Windows put together: equal to the whole image where that can be, to MONAI where windows are blended, in little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.inferers import sliding_window_inference

from intarsia.core import ClassSet, Dense, Queries
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.decode import Tiling, decoded, label_bands, tiled

THREE = ClassSet(("sky", "road", "car"))


class Network:
    """Convolutions that see `reach` pixels to each side, on a grid of cells of `stride` pixels; it keeps what it was shown."""

    def __init__(self, stride=1, reach=0, seed=0):
        torch.manual_seed(seed)
        self.stride, self.reach, self.sizes = stride, reach, set()
        self.weights = torch.randn(3, 2, 2 * reach + 1, 2 * reach + 1)

    def __call__(self, image, /, *, stats=None):
        self.sizes.add(image.shape[:2])
        assert all(length % self.stride == 0 for length in image.shape[:2])
        tensor = torch.from_numpy(np.ascontiguousarray(image)).float().movedim(-1, 0)[None]
        seen = torch.nn.functional.conv2d(tensor, self.weights, padding=self.reach)
        return Dense(torch.nn.functional.avg_pool2d(seen, self.stride))


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 2), dtype=np.uint8)


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from([32, 64, 96]),
    st.sampled_from([1, 4, 32]),
    st.sampled_from([0.0, 0.4, 0.6]),
)
def test_a_network_of_bounded_view_is_as_on_the_whole_image(down, across, tile, stride, overlap):
    """The rest of a window is 16 pixels on each side or more where the overlap is 32."""
    reach = 0 if overlap < 0.6 or tile < 96 else 16 - stride
    if reach < 0 or tile * (1 - overlap) < 32:
        return
    image, network = picture(32 * down, 32 * across), Network(stride, reach)
    whole = decoded(network, THREE)(image)
    answer = tiled(network, THREE, Tiling((tile, tile), overlap))(image)
    np.testing.assert_array_equal(answer.semantic(3), whole.semantic(3))


@pytest.mark.parametrize("stride", [1, 4, 16])
def test_blending_changes_nothing_where_windows_agree(stride):
    image, network = picture(160, 224), Network(stride)
    whole = decoded(network, THREE)(image).semantic(3)
    network.sizes.clear()
    answer = tiled(network, THREE, Tiling((64, 96), 0.5, "gaussian"))(image).semantic(3)
    assert (answer != whole).mean() < 1e-3  # sums in another order
    assert network.sizes == {(64, 96)}


def test_blending_is_monais():
    """At stride 1, of a network that sees beyond its windows, so that these disagree."""
    image, network = picture(128, 160), Network(1, 12)
    classes = network.weights.shape[0]

    def theirs(batch):
        return torch.nn.functional.conv2d(batch, network.weights, padding=network.reach)

    tensor = torch.from_numpy(image).float().movedim(-1, 0)[None]
    logits = sliding_window_inference(tensor, (64, 64), 1, theirs, overlap=0.5, mode="gaussian", sigma_scale=0.125)
    answer = tiled(network, THREE, Tiling((64, 64), 0.5, "gaussian"))(image).semantic(classes)
    margin = logits[0].topk(2, dim=0).values.diff(dim=0).abs()[0].numpy()
    differs = answer != logits[0].argmax(dim=0).numpy()
    assert differs.mean() < 1e-3
    assert margin[differs].max(initial=0) < 1e-4 * margin.mean()
    whole = decoded(network, THREE)(image).semantic(classes)
    assert (whole != answer).mean() > 0.001


@pytest.mark.parametrize("blend", ["centre", "gaussian"])
@pytest.mark.parametrize("size", [(1, 1), (33, 31), (70, 200), (129, 64)])
def test_any_size_is_answered_whole(blend, size):
    network = Network(4)
    bands = list(label_bands(network, picture(*size), THREE, Tiling((64, 64), 0.25, blend)))
    edges = [0, *(rows.stop for rows, _ in bands)]
    assert [rows.start for rows, _ in bands] == edges[:-1]
    assert edges[-1] == size[0]
    assert all(band.shape == (rows.stop - rows.start, size[1]) for rows, band in bands)
    padded = np.pad(picture(*size), ((0, -size[0] % 32), (0, -size[1] % 32), (0, 0)), mode="edge")
    whole = decoded(network, THREE)(padded).semantic(3)[: size[0], : size[1]]
    assert (np.concatenate([band for _, band in bands]) != whole).mean() < 1e-3


class Tall:
    """A picture that is made where it is looked at, as a raster is read."""

    dtype = np.dtype(np.uint8)

    def __init__(self, height, width):
        self.shape = (height, width, 2)

    def __getitem__(self, window):
        rows, columns = (np.arange(length)[part] for length, part in zip(self.shape, window, strict=False))
        return np.stack(np.broadcast_arrays(rows[:, None] // 3 % 256, columns % 256), axis=-1).astype(np.uint8)


@pytest.mark.parametrize("blend", ["centre", "gaussian"])
def test_memory_does_not_grow_with_the_height(blend):
    peaks = []
    for height in (512, 4096):
        tracemalloc.start()
        for _ in label_bands(Network(4), Tall(height, 512), THREE, Tiling((128, 128), 0.25, blend)):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 4 * 128 * 512 * 4 * 3


def test_stats_of_the_whole_image_go_to_every_window():
    given = []

    def scorer(image, /, *, stats=None):
        given.append(stats)
        return Dense(np.zeros((1, 3, *image.shape[:2])))

    stats = np.ones((2, 2), np.float32)
    tiled(scorer, THREE, Tiling((32, 32), 0.0), stats=stats)(picture(64, 40))
    assert len(given) > 2
    assert all(one is stats for one in given)


@pytest.mark.parametrize(
    ("options", "about"),
    [
        ({"tile": (48, 64)}, "tile"),
        ({"tile": (0, 64)}, "tile"),
        ({"overlap": 1.0}, "overlap"),
        ({"tile": (32, 32), "overlap": 0.5}, "overlap"),
        ({"blend": "mean"}, "blend"),
    ],
)
def test_a_tiling_that_cannot_be(options, about):
    with pytest.raises(OptionError, match=about):
        tiled(Network(), THREE, Tiling(**options))


def test_what_cannot_be_blended_says_so():
    queries = Queries(np.zeros((1, 2, 4)), np.zeros((1, 2, 5)), np.zeros((1, 5, 8, 8)))
    predict = tiled(lambda image, *, stats=None: queries, THREE, Tiling((32, 32), 0.0, "gaussian"))
    with pytest.raises(InvalidNoun, match=r"gaussian: expected Dense .* received Queries"):
        predict(picture(32, 32))
    predict = tiled(lambda image, *, stats=None: Dense(np.zeros((1, 3, 11, 11))), THREE, Tiling((32, 32), 0.0, "gaussian"))
    with pytest.raises(InvalidNoun, match=r"cells of 1, 2, 4 ... 32 pixels, received \(11, 11\) of \(32, 32\)"):
        predict(picture(32, 32))
    with pytest.raises(InvalidNoun, match=r"image: expected \(H, W, C\)"):
        tiled(Network(), THREE)(np.zeros((2, 32, 32, 2), np.uint8))
