"""What every metric must do: found by the folder listing, so a new file is under this contract at once."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from intarsia.core import ClassSet, Segments
from intarsia.core.catalogue import find, members
from intarsia.core.errors import IntarsiaError

CLASSES = ClassSet(("sky", "road", "car", "person"), things=("car", "person"), nothing=True)
METRICS = pytest.mark.parametrize("metric", [find("metrics", name) for name in members("metrics")])


def partition(seed, void=0.1):
    """Panoptic truth of blocks: a row each of stuff, several of things, some nothing, some void."""
    rng = np.random.default_rng(seed)
    classes = np.array([0, 1, 2, 2, 3, 3])[: rng.integers(2, 7)]
    ids = np.kron(rng.integers(0, len(classes) + 1, (1, 5, 6)), np.ones((1, 4, 4), int))
    ids[rng.random(ids.shape) < void] = -1
    return Segments(ids, classes).compact()


def guess(truth, seed):
    """The truth seen four pixels further, or one in every other image, one row missing."""
    kept = truth.select(np.arange(len(truth)) != seed % max(1, len(truth)))
    return kept.with_ids(np.roll(np.maximum(kept.ids, 0), 4 if seed % 2 else 1, axis=2))


PAIRS = {f"{seed:03d}": (partition(seed), guess(partition(seed), seed)) for seed in range(12)}


def counted(metric, keys, pairs=PAIRS):
    result = metric(CLASSES)
    for key in keys:
        result.update(*pairs[key], key=key)
    return result


def same(a, b):
    assert a.compute().to_dict() == b.compute().to_dict()


@METRICS
def test_truth_for_truth_is_perfect(metric):
    scores = counted(metric, PAIRS, {key: (truth, truth) for key, (truth, _) in PAIRS.items()}).compute().to_dict()
    assert metric.perfect
    for name, value in metric.perfect.items():
        assert scores[name] == pytest.approx(value, abs=1e-12), name


@METRICS
def test_a_wrong_prediction_is_not(metric):
    scores = counted(metric, PAIRS).compute().to_dict()
    assert all(abs(scores[name] - value) > 0.01 for name, value in metric.perfect.items())


@METRICS
def test_what_is_predicted_on_void_does_not_count(metric):
    def filled(truth, seed):
        noise = np.random.default_rng(seed).integers(0, len(truth) + 1, truth.ids.shape)
        return truth.with_ids(np.where(truth.ids < 0, noise, truth.ids))

    pairs = {key: (truth, filled(truth, int(key))) for key, (truth, _) in PAIRS.items()}
    scores = counted(metric, pairs, pairs).compute().to_dict()
    for name, value in metric.perfect.items():
        assert scores[name] == pytest.approx(value, abs=1e-12), name


@METRICS
def test_the_order_of_images_does_not_matter(metric):
    same(counted(metric, PAIRS), counted(metric, reversed(PAIRS)))


@METRICS
def test_shards_merged_in_any_order_are_the_whole(metric):
    shards = [counted(metric, list(PAIRS)[start::3]) for start in range(3)]
    for order in ((0, 1, 2), (2, 0, 1)):
        merged = metric(CLASSES)
        for index in order:
            merged.merge(pickle.loads(pickle.dumps(shards[index])))  # as it comes from another process
        same(merged, counted(metric, PAIRS))


@METRICS
def test_weights_say_how_often_an_image_counts(metric):
    """What intervals, comparisons and the scores of each image are made of."""
    weights = np.array([[1] * 12, [0, 2, 0, 1, 0, 0, 3, 0, 0, 0, 1, 0], [0] * 11 + [2], [1, 0] * 6])
    scores = counted(metric, PAIRS).weighted(list(counted(metric, PAIRS).images().values()), weights.astype(float))
    for row, often in enumerate(weights):
        drawn = metric(CLASSES)
        for (key, pair), times in zip(PAIRS.items(), often, strict=True):
            for copy in range(times):
                drawn.update(*pair, key=f"{key} {copy}")
        alone = drawn.compute(intervals=0)
        for name, values in scores.items():
            np.testing.assert_allclose(values[row], alone[name], rtol=1e-9, atol=1e-12, err_msg=name)
            assert values.shape == ((4, len(CLASSES)) if name in metric.by_class else (4,)), name
    assert set(metric.by_class) <= set(scores)


@METRICS
def test_what_the_engine_asks_of_a_metric_and_of_its_scores(metric):
    whole = counted(metric, PAIRS)
    scores = whole.compute(intervals=20)
    assert (scores.names, scores.images) == (CLASSES.names, 12)
    for name in (metric.headline, *metric.told):
        assert isinstance(scores[name], float)
        assert whole.best(name) in (0.0, 1.0)
        low, high = scores.intervals[name]
        assert low <= scores[name] <= high
    assert scores.unpredicted() == []
    further = replace(scores, measures={"again": scores})
    assert further.to_dict() == {**scores.to_dict(), "again": scores.to_dict()}
    assert str(further) == f"{scores}\n\n{scores}"
    for key, (truth, _) in PAIRS.items():  # two evaluations of an image agree in its truth
        other = metric(CLASSES)
        other.update(truth, Segments.empty(truth.size), key=key)
        np.testing.assert_array_equal(other.truth(other.images()[key]), whole.truth(whole.images()[key]))


@METRICS
def test_classes_in_another_order_score_the_same(metric):
    turned = ClassSet(("person", "sky", "car", "road"), things=("car", "person"), nothing=True)
    table = CLASSES.table_to(turned)
    other = metric(turned)
    for key, pair in PAIRS.items():
        other.update(*(segments.with_classes(table[segments.classes]) for segments in pair), key=key)
    here = {name: values for name, values in other.ordered_as(CLASSES).compute().to_dict().items() if name != "confusion"}
    there = {name: values for name, values in counted(metric, PAIRS).compute().to_dict().items() if name != "confusion"}
    assert_near(here, there)


def assert_near(a, b):
    """Equal but for rounding: sums over images come in another order."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for name in a:
            assert_near(a[name], b[name])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_near(one, other)
    else:
        assert a == (b if b is None or isinstance(b, str) else pytest.approx(b, abs=1e-9))


@METRICS
def test_the_result_is_json_and_text(metric):
    result = counted(metric, PAIRS).compute()
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()
    assert all(name == name.lower() for name in result.to_dict())
    assert len(str(result).splitlines()) > 1
    assert all(line == line.rstrip() for line in str(result).splitlines())


@METRICS
def test_errors(metric):
    truth, _ = PAIRS["000"]
    with pytest.raises(IntarsiaError, match="expected at least one update before compute"):
        metric(CLASSES).compute()
    with pytest.raises(IntarsiaError, match=r"prediction 'a': expected the truth's size \(20, 24\), received \(3, 4\)"):
        metric(CLASSES).update(truth, Segments.empty((3, 4)), key="a")
    with pytest.raises(IntarsiaError, match=r"merge: expected the classes \['sky', .*\], received \['other'\]"):
        metric(CLASSES).merge(metric(ClassSet(("other",))))
