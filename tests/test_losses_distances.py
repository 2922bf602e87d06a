"""Losses of distance and of centre lines: void is nobody's neighbour, and the values by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import distance_transform_edt

from intarsia.core import Dense, Targets
from intarsia.losses._distances import interface_distances, signed_distances
from intarsia.losses.boundary import Boundary, boundary_loss
from intarsia.losses.cldice import cldice_loss, soft_skeleton
from intarsia.losses.hausdorff import hausdorff_loss
from intarsia.losses.lovasz_softmax import lovasz_softmax_loss


def sure(labels: torch.Tensor, channels: int = 2) -> torch.Tensor:
    return 1000.0 * torch.nn.functional.one_hot(labels, channels).movedim(-1, 1).double()


def test_signed_distances_by_hand() -> None:
    labels = torch.tensor([[[0, 0, -1, 1, 1, -1, 0]]])
    first, second, third = signed_distances(labels, 3)[0, :, 0].tolist()
    assert first == [-2, -1, 0, 2, 2, 0, -1]  # 1 - 3, 1 - 2 past the void pixel; outside: 2 to the left, 2 to the right
    assert second == [3, 2, 0, -1, -1, 0, 2]
    assert third == [0] * 7  # absent


def test_a_class_alone_has_no_boundary() -> None:
    assert signed_distances(torch.tensor([[[1, 1, -1]]]), 2).eq(0).all()
    assert interface_distances(torch.ones(1, 1, 3).bool(), torch.tensor([[[True, True, False]]])).eq(0).all()


@given(hnp.arrays(np.int64, hnp.array_shapes(min_dims=3, max_dims=4, max_side=7), elements=st.integers(-1, 2)))
def test_distances_are_scipys(labels: np.ndarray) -> None:
    maps = signed_distances(torch.from_numpy(labels), 3).numpy()
    for image, channel in np.ndindex(len(labels), 3):
        inside, known = labels[image] == channel, labels[image] >= 0
        expected = np.zeros(inside.shape)
        if inside.any() and (known & ~inside).any():
            expected[~inside] = distance_transform_edt(~inside)[~inside]
            expected[inside] = 1 - distance_transform_edt(~(known & ~inside))[inside]
            expected[~known] = 0
        np.testing.assert_allclose(maps[image, channel], expected, atol=1e-5)


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=4, max_side=7)), st.integers(0, 2**32 - 1))
def test_masks_do_not_reach_into_void(masks: np.ndarray, seed: int) -> None:
    known = torch.from_numpy(np.random.default_rng(seed).random(masks.shape) < 0.7)
    mask = torch.from_numpy(masks)
    first, second = interface_distances(mask, known), interface_distances(mask ^ ~known, known)  # otherwise in void
    assert torch.equal(first, second)
    assert first[~known].eq(0).all()


def test_boundary_by_hand() -> None:
    labels = torch.tensor([[[0, 0, 1]]])
    assert boundary_loss(sure(labels), labels).item() == pytest.approx((-1 / 3 + 0) / 2)  # the least there is
    assert boundary_loss(sure(1 - labels), labels).item() == pytest.approx((1 / 3 + (2 + 1) / 3) / 2)


def test_hausdorff_by_hand() -> None:
    """A stray pixel at the far end: 3 from the true segment; of the prediction each pixel is 1 from its boundary."""
    labels, said = torch.tensor([[[1, 0, 0, 0]]]), torch.tensor([[[1, 0, 0, 1]]])
    assert hausdorff_loss(sure(said), labels).item() == pytest.approx((3**2 + 1**2) / 4)
    assert hausdorff_loss(sure(said), labels, alpha=1).item() == pytest.approx((3 + 1) / 4)
    assert hausdorff_loss(sure(labels), labels).item() == 0


def test_lovasz_is_one_minus_iou_where_the_network_is_sure() -> None:
    torch.manual_seed(0)
    labels, said = torch.randint(0, 3, (2, 1, 9, 9))
    ious = [((labels == c) & (said == c)).sum() / ((labels == c) | (said == c)).sum() for c in range(3)]
    assert lovasz_softmax_loss(sure(said, 3), labels).item() == pytest.approx(1 - float(sum(ious)) / 3)


def test_a_skeleton_by_hand() -> None:
    """Of a bar three pixels wide, the middle line; the ends are eaten as far as the bar is wide."""
    bar = torch.zeros(1, 1, 7, 11)
    bar[..., 2:5, 2:9] = 1
    expected = torch.zeros(7, 11)
    expected[3, 3:8] = 1
    assert torch.equal(soft_skeleton(bar, 2)[0, 0], expected)


def test_void_is_not_background_to_a_skeleton() -> None:
    """A strip of void along the bar does not move its middle, whatever stands there."""
    bar = torch.zeros(1, 1, 9, 11)
    bar[..., 2:7, :] = 1
    known = torch.ones_like(bar, dtype=torch.bool)
    known[..., 5:, :] = False
    for inside in (0.0, 1.0, 0.5):
        bar[..., 5:, :] = inside
        lines = soft_skeleton(bar, 4, known)[0, 0]
        assert lines[4].eq(1).all()  # as at the edge of an image: what can be seen is three wide, and goes on
        assert lines.sum() == 11


def test_cldice_counts_lines_and_not_areas() -> None:
    """A gap in a line costs, a line twice as thick does not."""
    labels = torch.zeros(1, 11, 30).long()
    labels[:, 5] = 1
    gap, thick = labels.clone(), labels.clone()
    gap[:, :, 10:20] = 0
    thick[:, 4:7] = 1
    costs = [cldice_loss(sure(said), labels, classes=[1], smooth=1e-3).item() for said in (labels, thick, gap)]
    assert costs[0] == pytest.approx(0, abs=1e-6)
    assert costs[1] == pytest.approx(0, abs=1e-3)
    assert costs[2] == pytest.approx(1 - 2 * (2 / 3) / (1 + 2 / 3), abs=1e-2)


def test_distances_are_made_once_for_all_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr("intarsia.losses.boundary.signed_distances", lambda *given: made.append(1) or signed_distances(*given))
    targets = Targets(torch.ones(1, 1, 2, 2).long(), torch.tensor([[1]]), torch.zeros(1, 1).bool(), 2)
    logits = torch.zeros(1, 2, 2, 2)
    Boundary()(Dense(logits, aux=(Dense(logits), Dense(logits))), targets)
    assert len(made) == 1
