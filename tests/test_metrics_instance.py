"""Mask, box and boundary AP: COCO's numbers, ties, crowds, areas and limits included; void, draws of images, saved rows."""

from __future__ import annotations

import contextlib
import io
import json
import pickle

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchmetrics.detection import MeanAveragePrecision

from intarsia.core import ClassSet, Segments
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.data.open import open_dataset
from intarsia.metrics.boundary_instance import BoundaryInstance
from intarsia.metrics.instance import Instance
from intarsia.ops.packing import pack

CLASSES = ClassSet(("car", "person", "bird"), things=("car", "person", "bird"))
SIZE = (130, 150)
SCORES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar_1", "ar_10", "ar", "ar_small", "ar_medium", "ar_large")


def ellipses(rng, number, size=SIZE):
    """(N, H, W) overlapping ellipses, small ones, medium ones and large ones; now and then one without pixels."""
    yy, xx = np.mgrid[: size[0], : size[1]]
    centres, radii = rng.uniform(0, size, (number, 2)), rng.uniform(1, 2, (number, 2)) * rng.choice([3, 12, 35], (number, 1))
    shapes = zip(centres, radii, strict=True)
    masks = [((yy - y) / height) ** 2 + ((xx - x) / width) ** 2 < 1 for (y, x), (height, width) in shapes]
    return np.array(masks, bool).reshape(number, *size) & (rng.random((number, 1, 1)) > 0.05)


def scene(seed, *, objects=9, alarms=5, crowd=True, given=True, size=SIZE):
    """Truth, some of it crowd, areas and boxes of its own; a prediction of it, moved and in part under other classes, with ties."""
    rng = np.random.default_rng(seed)
    masks = ellipses(rng, objects, size)
    classes = rng.integers(0, 3, objects)
    seen = np.repeat(np.arange(objects), rng.integers(0, 3, objects))
    found = [np.roll(masks[row], rng.integers(-2, 3, 2), axis=(0, 1)) for row in seen]
    guesses = np.concatenate([np.array(found, bool).reshape(-1, *size), ellipses(rng, alarms, size)])
    named = np.concatenate([classes[seen], rng.integers(0, 3, alarms)]).astype(int)
    named = np.where(rng.random(len(named)) < 0.15, rng.integers(0, 3, len(named)), named)
    extra = {"areas": masks.sum((1, 2)) * rng.uniform(0.7, 1.2, objects), "boxes": moved(masks, rng)} if given else {}
    truth = pack(masks, classes, crowd=(rng.random(objects) < 0.25) & crowd, **extra)
    scores = rng.integers(1, 8, len(named)) / 8  # many ties
    return truth, pack(guesses, named, scores=scores, boxes=moved(guesses, rng) if given and rng.random() < 0.5 else None)


def moved(masks, rng):
    boxes = pack(masks, np.zeros(len(masks))).boxes
    return boxes + rng.uniform(-0.4, 0.4, boxes.shape).astype(np.float32) * boxes.any(axis=1, keepdims=True)


def coco_of(pairs, kind, boundary=None):
    """The two sides in pycocotools' form; ids from 1."""
    sides = []
    for side in range(2):
        entries = []
        for image, pair in enumerate(pairs, start=1):
            segments = pair[side]
            for row, (mask, box) in enumerate(zip(segments.masks, segments.boxes.astype(float), strict=True)):
                box = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
                area = segments.areas[row] if side == 0 else mask.sum() if kind == "segm" else box[2] * box[3]
                entry = {"image_id": image, "category_id": int(segments.classes[row]) + 1, "bbox": box, "area": float(area)}
                entry["segmentation"] = coco_mask.encode(np.asfortranarray(mask, np.uint8))
                entry |= {"iscrowd": int(segments.crowd[row]), "score": float(segments.scores[row]), "id": len(entries) + 1}
                entries.append(entry)
        api = COCO()
        api.dataset = {
            "images": [{"id": image, "height": 1, "width": 1} for image in range(1, len(pairs) + 1)],
            "categories": [{"id": number + 1} for number in range(3)],
            "annotations": entries,
        }
        api.createIndex()
        sides.append(api)
    return sides


def pycocotools(pairs, kind, most=100, evaluator=COCOeval):
    """Its tables, averaged as its summarize does; that one breaks off 100 detections."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = evaluator(*coco_of(pairs, kind), kind)
        evaluation.params.maxDets = [1, 10, most]
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = (np.where(table < 0, np.nan, table) for table in (evaluation.eval["precision"], evaluation.eval["recall"]))
    precision, limits = precision.mean(axis=1), recall[:, :, 0]  # (T, K, A, M), (T, K, M)
    values = {"ap": precision[:, :, 0, 2], "ap50": precision[0, :, 0, 2], "ap75": precision[5, :, 0, 2]}
    values |= {"ar_1": limits[..., 0], "ar_10": limits[..., 1], "ar": limits[..., 2]}
    for number, area in enumerate(("small", "medium", "large"), start=1):
        values |= {f"ap_{area}": precision[:, :, number, 2], f"ar_{area}": recall[:, :, number, 2]}
    flat = {name: np.nan if np.isnan(values[name]).all() else np.nanmean(values[name]) for name in SCORES}
    return flat, {name: values[name].reshape(-1, 3).mean(axis=0) for name in ("ap", "ap50", "ar")}


def measured(pairs, metric=None, names=None):
    metric = metric or Instance(CLASSES)
    for number, pair in enumerate(pairs):
        metric.update(*pair, key=names[number] if names else f"{number:04d}")
    return metric


def assert_equal(scores, kind, expected):
    whole, by_class = expected
    for name in SCORES:
        assert scores[f"{kind}_{name}"] == pytest.approx(whole[name], abs=1e-6, nan_ok=True), name
    for name, values in by_class.items():
        np.testing.assert_allclose(scores[f"class_{kind}_{name}"], values, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("seed", range(6))
def test_equal_to_pycocotools(seed):
    pairs = [scene(100 * seed + number) for number in range(12)]
    scores = measured(pairs).compute(0)
    assert 0.1 < scores["mask_ap"] < 0.9
    for kind, theirs in (("mask", "segm"), ("box", "bbox")):
        assert_equal(scores, kind, pycocotools(pairs, theirs))


@pytest.mark.data
def test_equal_to_pycocotools_on_real_objects(data_dir):
    """Objects of COCO, with the boxes and areas of its file, found some pixels beside where they are."""
    data, rng, pairs = open_dataset(data_dir / "coco_instances"), np.random.default_rng(0), []
    for index in range(12):
        truth = data[index].segments
        truth = truth.with_classes(truth.classes % 3)
        steps = rng.integers(0, 4, len(truth))
        moved = np.array([np.roll(mask, step, axis=1) for mask, step in zip(truth.masks, steps, strict=True)])
        pairs.append((truth, pack(moved, truth.classes, scores=rng.integers(1, 6, len(truth)) / 5)))
    scores = measured(pairs).compute(0)
    for kind, theirs in (("mask", "segm"), ("box", "bbox")):
        assert_equal(scores, kind, pycocotools(pairs, theirs))
    assert_equal(
        measured(pairs, BoundaryInstance(CLASSES)).compute(0), "boundary", pycocotools(pairs, "segm", evaluator=BoundaryEval)
    )


def test_without_objects_or_without_detections_as_pycocotools():
    nothing = Segments.empty(SIZE)
    pairs = [(nothing, nothing), (scene(1)[0], nothing), (nothing, scene(2)[1]), scene(3), (nothing, nothing)]
    for some in (pairs, pairs[1:2], pairs[:2]):
        scores = measured(some).compute(0)
        for kind, theirs in (("mask", "segm"), ("box", "bbox")):
            assert_equal(scores, kind, pycocotools(some, theirs))
    assert measured(pairs[1:2]).compute(0)["mask_ap"] == 0
    assert np.isnan(measured(pairs[2:3]).compute(0)["mask_ap"])


def many(count, seed=0):
    """`count` squares of three classes on a grid, each found, one in three badly, in an order of scores without ties."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(count**0.5))
    ids = np.kron(np.arange(1, side * side + 1).reshape(side, side), np.pad(np.ones((4, 4), int), (0, 2)))
    truth = Segments(np.where(ids > count, 0, ids)[None], np.arange(count) % 3)
    shift = np.where(rng.random(count + 1) < 1 / 3, 2, 1)
    guess = np.zeros_like(truth.ids)
    for step in (1, 2):
        guess = np.maximum(guess, np.roll(truth.ids * (shift[truth.ids] == step), step - 1, axis=2))
    return truth, Segments(guess, truth.classes, scores=rng.permutation(count) / count)


@pytest.mark.parametrize("most", [100, 400])
def test_the_limit_of_detections_is_honoured(most):
    """A thousand objects, 334 of a class; pycocotools' own summary breaks off 100."""
    pairs = [many(1000), scene(5)]
    scores = measured(pairs, Instance(CLASSES, max_detections=most)).compute(0)
    assert_equal(scores, "mask", pycocotools(pairs, "segm", most))
    assert (scores["mask_ar"] > 0.5) == (most == 400)


@pytest.mark.parametrize("most", [1, 7])
def test_the_surest_detections_are_taken(most):
    scores = measured([many(90)], Instance(CLASSES, max_detections=most)).compute(0)
    assert scores["class_mask_ar"].max() <= most / 30
    assert scores["mask_ar_10"] == scores["mask_ar"]


def test_a_thousand_objects_are_all_counted():
    truth, _ = many(1000)
    assert measured([(truth, truth)], Instance(CLASSES, max_detections=1000)).compute(0)["mask_ap"] == 1
    assert measured([(truth, truth)]).compute(0)["mask_ar"] == pytest.approx(0.3, abs=1e-3)


def test_ties_between_images_go_by_key():
    """The same scores everywhere: the order of detections is that of images, then of rows."""
    pairs = []
    for seed in range(8):
        truth, guess = scene(seed)
        pairs.append((truth, Segments(guess.ids, guess.classes, scores=np.full(len(guess), 0.5))))
    assert_equal(measured(pairs).compute(0), "mask", pycocotools(pairs, "segm"))
    backwards = measured(pairs[::-1], names=[f"{7 - number:04d}" for number in range(8)])
    assert backwards.compute(0).to_dict() == measured(pairs).compute(0).to_dict()


def test_areas_of_the_file_decide_and_else_pixels():
    mask = np.zeros((1, 60, 60), bool)
    mask[0, :40, :40] = True  # 1600: medium
    for areas, part in ((None, "medium"), ([1000.0], "small"), ([1024.0], "small"), ([9999.0], "large")):
        truth = pack(mask, [0], areas=areas)
        scores = measured([(truth, pack(mask, [0]))]).compute(0)
        defined = [name for name in ("small", "medium", "large") if not np.isnan(scores[f"mask_ap_{name}"])]
        assert defined == ([part] if areas != [1024.0] else ["small", "medium"])  # both ends are within
        assert scores[f"mask_ap_{part}"] == scores[f"box_ap_{part}"] == 1


def test_crowd_takes_any_number_and_is_never_missed():
    crowd, small = np.zeros((2, 40, 40), bool)
    crowd[:, :30] = True
    small[30:, 30:] = True
    truth = pack([crowd, small], [0, 0], crowd=[True, False])
    parts = [crowd & (np.arange(40) // 10 == number)[:, None] for number in range(4)]
    guess = pack([*parts, small], np.zeros(5), scores=[0.9, 0.9, 0.9, 0.9, 0.5])
    assert measured([(truth, guess)]).compute(0)["mask_ap"] == 1
    alone = measured([(truth.select([0]), guess)]).compute(0)
    assert np.isnan(alone["mask_ap"])


def test_only_things_are_scored():
    street = ClassSet(("road", "car"), things=("car",))
    truth = Segments([[[1, 1, 2, 2]]], [0, 1])
    guess = Segments([[[0, 1, 2, 2]]], [0, 1])
    scores = measured([(truth, guess)], Instance(street)).compute(0)
    assert scores["mask_ap"] == 1
    assert np.isnan(scores["class_mask_ap"]).tolist() == [True, False]
    all_stuff = measured([(truth, guess)], Instance(ClassSet(("road", "car")))).compute(0)
    assert all_stuff["class_mask_ap"].tolist() == pytest.approx([0.1, 1])  # half of the road: IoU 0.5


def test_void_takes_pixels_and_whole_detections():
    ids = np.zeros((1, 10, 30), int)
    ids[:, :, :10], ids[:, :, 20:] = 1, -1
    truth = Segments(ids, [0])
    guess = np.zeros((3, 10, 30), bool)
    guess[0, :, :10] = guess[1, :, 22:] = guess[0, :, 25:] = True  # the object and void; void alone; nothing
    found = pack(guess[:2], [0, 0], scores=[0.5, 0.9])
    scores = measured([(truth, found)]).compute(0)
    assert (scores["mask_ap"], scores["box_ap"]) == (1, 1)
    metric = measured([(truth, pack(guess, np.zeros(3), scores=[0.5, 0.9, 0.8]))])
    [rows] = metric.counts
    assert rows["truth"].sum() == 1
    assert rows[~rows["truth"]]["score"].tolist() == pytest.approx([0.8, 0.5])  # the one without pixels is a false alarm
    assert metric.compute(0)["mask_ap50"] == pytest.approx(0.5)


def test_boxes_that_the_network_gave_are_scored():
    truth = Segments(np.pad(np.ones((1, 10, 10), int), ((0, 0), (5, 5), (5, 5))), [0])
    right = Segments(truth.ids, [0], boxes=[[5, 5, 15, 15]])
    wrong = Segments(truth.ids, [0], boxes=[[0, 0, 15, 15]])
    assert measured([(truth, right)]).compute(0)["box_ap"] == 1
    scores = measured([(truth, wrong)]).compute(0)
    assert (scores["box_ap"], scores["mask_ap"]) == (0, 1)


def test_objects_without_pixels_are_missed_but_not_where_there_is_void():
    mask = np.zeros((2, 6, 6), bool)
    mask[0, :3, :3] = True
    guess = pack(mask[:1], [0])
    assert measured([(pack(mask, [0, 0]), guess)]).compute(0)["mask_ar"] == 0.5
    hidden = pack(mask, [0, 0], void=np.eye(6) == 1)
    assert measured([(hidden, guess)]).compute(0)["mask_ar"] == 1


@pytest.mark.parametrize("metric", [Instance, BoundaryInstance])
def test_volumes(metric):
    ids = np.zeros((1, 12, 20, 20), int)
    ids[0, 2:8, 3:12, 3:12], ids[0, 5:11, 14:19, 2:19] = 1, 2
    truth = Segments(ids, [0, 1])
    guess = Segments(np.roll(ids, 1, axis=1), [0, 1], scores=[0.5, 0.6])
    kind = metric.kinds[0]
    assert measured([(truth, truth)], metric(CLASSES)).compute(0)[f"{kind}_ap"] == 1
    assert 0 <= measured([(truth, guess)], metric(CLASSES)).compute(0)[f"{kind}_ap"] < 1


# -- draws of images ---------------------------------------------------------------------------------------------------------


def distinct(pair, number):
    """Without ties within the image, of which a draw knows no copies."""
    truth, guess = pair
    order = np.random.default_rng(number).permutation(len(guess))
    return truth, Segments(guess.ids, guess.classes, scores=(order + number / 100) / 100)


@pytest.mark.parametrize("metric", [Instance, BoundaryInstance])
def test_weights_are_images_really_repeated(metric):
    pairs = [distinct(scene(number), number) for number in range(8)]
    whole = measured(pairs, metric(CLASSES))
    weights = np.random.default_rng(0).multinomial(8, np.full(8, 1 / 8), size=20).astype(float)
    weights[0], weights[1] = 0, np.arange(8)
    drawn = whole.weighted(list(whole.images().values()), weights)
    for row, counts in enumerate(weights.astype(int)):
        repeated = [pairs[image] for image, count in enumerate(counts) for _ in range(count)]
        if repeated:
            alone = measured(repeated, metric(CLASSES)).compute(0)
            for name, values in drawn.items():
                np.testing.assert_allclose(values[row], alone[name], atol=1e-9, err_msg=f"{name} {counts}")
        else:
            assert all(np.isnan(values[row]).all() for values in drawn.values())


def test_intervals_hold_the_score_and_come_again():
    metric = measured([scene(number) for number in range(20)])
    scores = metric.compute(200, seed=1)
    low, high = scores.intervals["mask_ap"]
    assert low < scores["mask_ap"] < high
    assert scores.intervals["class_box_ap"].shape == (3, 2)
    assert metric.compute(200, seed=1).to_dict() == scores.to_dict()


# -- the frame ---------------------------------------------------------------------------------------------------------------


def test_rows_are_saved_merged_and_reordered():
    pairs = [scene(number) for number in range(6)]
    whole = measured(pairs)
    again = whole.alike(whole.keys, pickle.loads(pickle.dumps(whole.counts)))
    assert again.compute(50).to_dict() == whole.compute(50).to_dict()
    other = ClassSet(("bird", "car", "person"), things=("car", "person", "bird"))
    turned = whole.ordered_as(other).compute(0)
    assert turned["class_mask_ap"].tolist() == whole.compute(0)["class_mask_ap"][[2, 0, 1]].tolist()
    again = measured([(Segments.empty(SIZE), Segments.empty(SIZE))], whole.alike())
    assert [len(rows) for rows in again.counts] == [0]
    assert json.loads(json.dumps(again.compute().to_dict(), allow_nan=False))["mask_ap"] is None


def test_what_two_evaluations_share_is_the_truth():
    truth, guess = scene(0)
    one, other, third = (measured([pair]) for pair in ((truth, guess), (truth, scene(1)[1]), (scene(1)[0], guess)))
    (same,), (again,), (different,) = (metric.counts for metric in (one, other, third))
    np.testing.assert_array_equal(one.truth(same), one.truth(again))
    assert one.truth(same).shape != one.truth(different).shape or (one.truth(same) != one.truth(different)).any()


def test_the_classes_that_no_answer_holds_are_named():
    truth = Segments([[[1, 2, 2]]], [0, 2])
    scores = measured([(truth, truth.select([1]))]).compute(0)
    assert scores.unpredicted() == ["car"]
    assert (scores["objects"].tolist(), scores["detections"].tolist()) == ([1, 0, 1], [0, 0, 1])


@pytest.mark.parametrize("number", [0, -1, 2.5, True, "a"])
def test_errors_of_the_limit(number):
    with pytest.raises(OptionError, match="max_detections: expected a whole number from 1 on, received"):
        Instance(CLASSES, max_detections=number)


def test_errors():
    with pytest.raises(OptionError, match=r"boundary_instance width: expected a share of the diagonal within 0\.\.1, received 2"):
        BoundaryInstance(CLASSES, width=2)
    with pytest.raises(InvalidNoun, match=r"prediction classes: expected indices 0\.\.2, received 3"):
        Instance(CLASSES).update(Segments([[[1]]], [0]), Segments([[[1]]], [3]))


# -- boundary ----------------------------------------------------------------------------------------------------------------


class BoundaryEval(COCOeval):
    """boundary_iou/coco_instance_api of github.com/bowenc0221/boundary-iou-api: the lesser IoU, of masks alone with crowd."""

    def computeIoU(self, image, category):  # noqa: N802
        ious = super().computeIoU(image, category)
        wanted, given = self._gts[image, category], self._dts[image, category]
        if not len(wanted) or not len(given):
            return ious
        order = np.argsort([-entry["score"] for entry in given], kind="mergesort")[: self.params.maxDets[-1]]
        rims = [[coco_mask.encode(np.asfortranarray(rim(coco_mask.decode(e["segmentation"])))) for e in side]
                for side in ([given[place] for place in order], wanted)]  # fmt: skip
        own = [int(entry["iscrowd"]) for entry in wanted]
        return np.where(np.array(own) == 1, ious, np.minimum(ious, coco_mask.iou(*rims, own)))


def rim(mask, ratio=0.02):
    """boundary_utils.mask_to_boundary of the same."""
    height, width = mask.shape
    steps = max(1, round(ratio * np.sqrt(height**2 + width**2)))
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return mask - cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=steps)[1:-1, 1:-1]


@pytest.mark.parametrize("seed", range(3))
def test_boundary_equals_the_authors(seed):
    pairs = [scene(50 * seed + number) for number in range(10)]
    scores = measured(pairs, BoundaryInstance(CLASSES)).compute(0)
    expected = pycocotools(pairs, "segm", evaluator=BoundaryEval)
    assert_equal(scores, "boundary", expected)
    assert 0.02 < scores["boundary_ap"] < measured(pairs).compute(0)["mask_ap"] - 0.02


def test_the_lesser_of_the_two_counts():
    """A square of 100, found with a hole of 70: masks share 0.51, rims of 3 pixels (100^2 - 94^2) / (that + 76^2 - 70^2) = 0.57."""
    whole = np.pad(np.ones((100, 100), np.bool_), 10)
    pair = pack([whole], [0]), pack([whole & ~np.pad(np.ones((70, 70), np.bool_), 25)], [0])
    assert measured([pair], BoundaryInstance(CLASSES)).compute(0)["boundary_ap"] == pytest.approx(0.1)


def test_along_void_there_is_no_rim():
    """A truth cut by void, found exactly but for its far end: only where both are known do the rims count."""
    whole, void = np.zeros((2, 100, 100), bool)
    whole[20:80, 10:] = True
    void[:, 60:] = True
    truth, guess = pack([whole], [0], void=void), pack([whole], [0])
    assert measured([(truth, guess)], BoundaryInstance(CLASSES)).compute(0)["boundary_ap"] == 1
    [rows] = measured([(truth, guess)], BoundaryInstance(CLASSES)).counts
    short = np.zeros((100, 100), bool)
    short[20:80, 10:57] = True  # ends before void: what lacks is no rim, only its own end is
    scores = measured([(truth, pack([short], [0]))], BoundaryInstance(CLASSES, width=0.01)).compute(0)
    along = 2 * 50 + 60 - 2  # of the truth: above, below, left
    end = 60 - 2
    both = 2 * 47 + 60 - 2
    expected = np.mean(both / (along + both + end - both) >= np.linspace(0.5, 0.95, 10) - 1e-12)
    assert scores["boundary_ap"] == pytest.approx(expected)
    assert len(rows) == 2


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_few_objects_as_pycocotools(seed):
    rng = np.random.default_rng(seed)
    pairs = [
        scene(seed + number, objects=int(rng.integers(0, 3)), alarms=int(rng.integers(0, 3)), size=(40, 50)) for number in range(3)
    ]
    assert_equal(measured(pairs).compute(0), "mask", pycocotools(pairs, "segm"))
    assert_equal(measured(pairs).compute(0), "box", pycocotools(pairs, "bbox"))


def test_parity_with_torchmetrics():
    """Where both ask the same; its thresholds are handed to it as pycocotools has them."""
    thresholds = {"iou_thresholds": np.linspace(0.5, 0.95, 10).tolist(), "rec_thresholds": np.linspace(0, 1, 101).tolist()}
    theirs = MeanAveragePrecision(iou_type="segm", class_metrics=True, **thresholds)
    pairs = [scene(seed, given=False) for seed in range(6)]
    for truth, guess in pairs:
        wanted, given = (
            {"masks": torch.from_numpy(side.masks), "labels": torch.from_numpy(side.classes)} for side in (truth, guess)
        )
        wanted["iscrowd"] = torch.from_numpy(truth.crowd.astype(np.int64))
        theirs.update([given | {"scores": torch.from_numpy(guess.scores)}], [wanted])
    expected, scores = theirs.compute(), measured(pairs).compute(0)
    names = {"mask_ap": "map", "mask_ap50": "map_50", "mask_ap75": "map_75", "mask_ap_small": "map_small", "mask_ar": "mar_100"}
    for ours, name in names.items():
        assert scores[ours] == pytest.approx(float(expected[name]), abs=1e-6)
    np.testing.assert_allclose(scores["class_mask_ap"], expected["map_per_class"].numpy(), atol=1e-6)
    assert 0.1 < scores["mask_ap"] < 0.9
