"""Regions to segments: masks pasted and merged with stuff as detectron2 does it, and an oracle's masks given back."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import grid_sample, interpolate

from intarsia.core import ClassSet, Dense, Regions, Segments, Targets
from intarsia.core.errors import InvalidNoun
from intarsia.decode._regions import instances, merged, pasted
from intarsia.models._objects import objects_of

CLASSES = ClassSet(("sky", "cat", "road", "dog"), things=("cat", "dog"), nothing=True)


def regions(*rows: tuple[tuple[float, ...], int, float], mask: Any = None, logits: Any = None) -> Regions:
    """Of one image: (box, class, score) each, and masks that are full unless given."""
    masks = np.ones((len(rows), 4, 4), np.float32) if mask is None else np.asarray(mask, np.float32)
    return Regions(
        boxes=(np.array([row[0] for row in rows], np.float32).reshape(-1, 4),),
        classes=(np.array([row[1] for row in rows], np.int64),),
        scores=(np.array([row[2] for row in rows], np.float32),),
        masks=(masks,),
        semantic=None if logits is None else Dense(np.asarray(logits, np.float32)[None]),
    )


def their_pasted(masks: np.ndarray, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, m, m) and boxes in shares to (N, H, W): detectron2's _do_paste_mask (layers/mask_ops.py)."""
    height, width = size
    x0, y0, x1, y1 = (torch.from_numpy(boxes) * torch.tensor([width, height] * 2)).split(1, dim=1)
    img_y = (torch.arange(height) + 0.5 - y0) / (y1 - y0) * 2 - 1  # (N, H)
    img_x = (torch.arange(width) + 0.5 - x0) / (x1 - x0) * 2 - 1  # (N, W)
    count = len(masks)
    grid = torch.stack([img_x[:, None, :].expand(count, height, width), img_y[:, :, None].expand(count, height, width)], dim=3)
    return grid_sample(torch.from_numpy(masks)[:, None], grid, align_corners=False)[:, 0].numpy()


@pytest.mark.parametrize("side", [1, 4, 14, 28])
def test_pasted_as_detectron2_pastes(side: int) -> None:
    """Boxes small and large, over the edges of the image and beyond it."""
    rng = np.random.default_rng(side)
    corner = rng.uniform(-0.3, 1.1, (300, 2))
    extent = np.where(np.arange(300)[:, None] < 100, 0.1, 0.9) * rng.random((300, 2))
    boxes = np.concatenate([corner, corner + extent], axis=1).astype(np.float32)
    masks = rng.random((300, side, side), np.float32)
    expected = their_pasted(masks, boxes, (53, 71))
    for threshold in (0.5, 0.2):
        for mask, box, theirs in zip(masks, boxes, expected, strict=True):
            window, here = pasted(mask, box, (53, 71), threshold)
            ours = np.zeros((53, 71), np.bool_)
            ours[window] = here
            near = np.abs(theirs - threshold) < 1e-4  # where rounding may decide
            assert (ours == (theirs > threshold))[~near].all()
    assert (expected > 0.5).any(axis=(1, 2)).sum() > 50


def ellipse(centre: np.ndarray, radii: np.ndarray, side: int) -> np.ndarray:
    """(side, side) bool."""
    places = np.moveaxis(np.mgrid[:side, :side], 0, -1) + 0.5
    return (((places - centre) / radii) ** 2).sum(axis=2) <= 1


@pytest.mark.parametrize(("extent", "scale"), [(6, 1), (15, 1), (35, 1), (90, 1), (15, 2), (35, 2), (90, 2)])
def test_an_oracle_gives_the_truth_back(extent: int, scale: int) -> None:
    """What a perfect network would say of ellipses, trained on them at `scale` times the file's size, is the ellipse."""
    rng = np.random.default_rng(extent)
    for _ in range(10):
        centre, radii = rng.uniform(60, 100, 2), rng.uniform(0.8, 1.2, 2) * extent / 2
        truth, mask = ellipse(centre, radii, 160), ellipse(centre * scale, radii * scale, 160 * scale)
        ids = torch.from_numpy(mask[None, None].astype(np.int16))
        [objects] = objects_of(Targets(ids, torch.tensor([[1]]), torch.zeros(1, 1, dtype=torch.bool), 4))
        shares, _ = objects.crops(objects.boxes, torch.tensor([0]), 28)
        output = Regions((objects.boxes / (160 * scale),), (objects.classes,), (torch.ones(1),), (shares,))
        [found] = instances(output, [(160, 160)], CLASSES)
        assert (found.mask(0) & truth).sum() / (found.mask(0) | truth).sum() > 0.9


def test_a_box_without_extent_is_nothing() -> None:
    for box in ((0.5, 0.5, 0.5, 0.5), (0.2, 0.4, 0.9, 0.4), (5.0, 5.0, 6.0, 6.0), (-2.0, 0.0, -1.0, 1.0)):
        window, here = pasted(np.ones((4, 4), np.float32), np.array(box, np.float32), (20, 30))
        assert np.zeros((20, 30))[window].shape == here.shape
        assert not here.any()


def test_instances_by_hand() -> None:
    """The better one first, both where they overlap; one below the score, one above the number, one outside."""
    output = regions(
        ((0.25, 0.0, 0.75, 1.0), 1, 0.4),
        ((0.0, 0.0, 0.5, 1.0), 3, 0.9),
        ((0.0, 0.0, 1.0, 1.0), 1, 0.1),
        ((2.0, 2.0, 3.0, 3.0), 1, 0.8),
    )
    [found] = instances(output, [(4, 8)], CLASSES, score=0.2)
    assert found.classes.tolist() == [3, 1]
    assert found.scores.tolist() == [np.float32(0.9), np.float32(0.4)]
    expected = np.zeros((2, 4, 8), np.bool_)
    expected[0, :, :4] = expected[1, :, 2:6] = True
    assert np.array_equal(found.masks, expected)

    [best] = instances(output, [(4, 8)], CLASSES, max_detections=1)
    assert best.classes.tolist() == [3]
    assert len(instances(output, [(4, 8)], CLASSES, score=0.05)[0]) == 3
    assert len(instances(output, [(4, 8)], CLASSES, score=0.95)[0]) == 0


def test_the_mask_is_cut_where_asked() -> None:
    output = regions(((0.0, 0.0, 1.0, 1.0), 1, 0.9), mask=np.full((1, 4, 4), 0.6))
    assert len(instances(output, [(8, 8)], CLASSES, mask=0.5)[0]) == 1
    assert len(instances(output, [(8, 8)], CLASSES, mask=0.7)[0]) == 0


def test_equal_scores_keep_their_order() -> None:
    output = regions(*(((0.1 * k, 0.0, 0.1 * k + 0.1, 1.0), 1 + 2 * (k % 2), 0.5) for k in range(8)))
    [found] = instances(output, [(20, 200)], CLASSES)
    assert found.classes.tolist() == [1, 3] * 4
    assert np.all(np.diff(found.boxes[:, 0]) > 0)


def test_tensors_and_several_images() -> None:
    one = regions(((0.0, 0.0, 0.5, 0.5), 1, 0.9))
    both = Regions(
        **{
            name: (torch.from_numpy(getattr(one, name)[0]), torch.zeros(0, *getattr(one, name)[0].shape[1:]))
            for name in ("boxes", "classes", "scores", "masks")
        }
    )
    first, second = instances(both, [(10, 20), (7, 5)], CLASSES)
    assert first == instances(one, [(10, 20)], CLASSES)[0]
    assert second == Segments.empty((7, 5))


def test_a_thousand_objects_are_cheap() -> None:
    """No mask is ever made at the size of the image: of 2048x2048 a thousand would take 4 GB."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 0.97, (1000, 2))
    boxes = np.concatenate([corner, corner + 0.02], axis=1)
    output = regions(*((tuple(box), 1, 0.9) for box in boxes), mask=np.ones((1000, 28, 28)))
    tracemalloc.start()
    [found] = instances(output, [(2048, 2048)], CLASSES, max_detections=1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 1000
    assert peak < 3 * found.ids.nbytes + 2**23  # the layers, once more stacked


# -- merged with stuff ---------------------------------------------------------------------------------------------------------


def combined(output: Regions, size: tuple[int, int], score: float, overlap: float, area: float) -> tuple[np.ndarray, list[Any]]:
    """detectron2's combine_semantic_and_instance_outputs (modeling/meta_arch/panoptic_fpn.py), on all masks at once."""
    masks = their_pasted(output.masks[0], output.boxes[0], size) > 0.5
    logits = torch.from_numpy(output.semantic.logits)
    semantic = interpolate(logits, size=size, mode="bilinear")[0].argmax(dim=0).numpy()
    panoptic, found, current = np.zeros(size, np.int32), [], 0
    for row in np.argsort(-output.scores[0]):
        if output.scores[0][row] < score:
            break
        if not CLASSES.is_thing[output.classes[0][row]]:
            continue
        mask = masks[row]
        if mask.sum() == 0:
            continue
        intersect = (mask & (panoptic > 0)).sum()
        if intersect / mask.sum() > 1 - overlap:
            continue
        if intersect:
            mask = mask & (panoptic == 0)
        current += 1
        panoptic[mask] = current
        found.append((int(output.classes[0][row]), float(output.scores[0][row])))
    for label in np.unique(semantic):
        if label == len(CLASSES) or CLASSES.is_thing[label]:
            continue
        mask = (semantic == label) & (panoptic == 0)
        if mask.sum() < area * mask.size or not mask.any():
            continue
        current += 1
        panoptic[mask] = current
        found.append((int(label), 1.0))
    return panoptic, found


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("overlap", "area"), [(0.5, 0.0), (0.8, 0.02)])
def test_merged_as_detectron2_merges(seed: int, overlap: float, area: float) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-0.1, 0.8, (12, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.05, 0.6, (12, 2))], axis=1)
    rows = [(tuple(box), int(rng.integers(0, 4)), float(rng.random())) for box in boxes]
    output = regions(*rows, mask=rng.uniform(0.2, 1, (12, 14, 14)), logits=rng.normal(size=(5, 9, 12)))
    expected, found = combined(output, (61, 90), 0.3, overlap, area)
    [ours] = merged(output, [(61, 90)], CLASSES, score=0.3, overlap=overlap, least_area=area)
    assert list(zip(ours.classes.tolist(), ours.scores.tolist(), strict=True)) == found
    assert (ours.ids[0] != expected).sum() <= 3  # rounding
    assert len(found) > 3


def test_merged_by_hand() -> None:
    """Things before stuff; half of a mask is enough, less is not; where the branch says a thing, or nothing, there is nothing."""
    said = np.full((4, 8), 4)  # nothing
    said[:, :6], said[2:, :6], said[3, :] = 0, 2, 1  # sky, road, cat
    logits = 10 * (np.arange(5)[:, None, None] == said)
    output = regions(
        ((0.0, 0.0, 0.5, 0.5), 1, 0.9),
        ((0.0, 0.0, 1.0, 0.5), 3, 0.8),  # half of it is left
        ((0.25, 0.0, 0.75, 0.5), 1, 0.7),  # nothing of it
        ((0.0, 0.0, 1.0, 1.0), 2, 0.6),  # a kind of stuff is no object
        ((0.0, 0.5, 0.5, 1.0), 1, 0.4),  # unsure
        mask=np.ones((5, 28, 28)),
        logits=logits,
    )
    [found] = merged(output, [(64, 128)], CLASSES)
    cells = found.semantic(4)[8::16, 8::16]  # the middle of each
    assert cells.tolist() == [[1, 1, 1, 1, 3, 3, 3, 3]] * 2 + [[2] * 6 + [4] * 2] + [[4] * 8]
    assert found.classes.tolist() == [1, 3, 2]  # sky is under the things
    assert found.scores.tolist() == [np.float32(0.9), np.float32(0.8), 1]

    [found] = merged(output, [(64, 128)], CLASSES, least_area=0.5)
    assert found.classes.tolist() == [1, 3]
    [found] = merged(output, [(64, 128)], CLASSES, score=0.85)
    assert found.classes.tolist() == [1, 0, 2]
    [found] = merged(output, [(64, 128)], CLASSES, overlap=0.6)
    assert found.classes.tolist() == [1, 0, 2]


def test_what_does_not_fit_is_said() -> None:
    output = regions(((0.0, 0.0, 1.0, 1.0), 4, 0.9), logits=np.zeros((5, 2, 2)))
    for decode in (instances, merged):
        with pytest.raises(InvalidNoun, match=r"sizes: expected one for each of 1 images, received 2"):
            decode(output, [(4, 4)] * 2, CLASSES)
        with pytest.raises(InvalidNoun, match=r"Regions classes: expected 0\.\.3, received 4\.\.4"):
            decode(output, [(4, 4)], CLASSES)
    with pytest.raises(InvalidNoun, match=r"panoptic decode: expected Regions with a semantic branch"):
        merged(regions(), [(4, 4)], CLASSES)
    with pytest.raises(InvalidNoun, match=r"logits: expected \(B, 5, \*s\) with nothing last, received \(1, 3, 2, 2\)"):
        merged(regions(logits=np.zeros((3, 2, 2))), [(4, 4)], CLASSES)
