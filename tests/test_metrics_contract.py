"""What every metric must do: found by the folder listing, so a new file is under this contract at once."""

from __future__ import annotations

import json
import pickle

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
    """The truth seen four pixels further, one row missing."""
    kept = truth.select(np.arange(len(truth)) != seed % max(1, len(truth)))
    return kept.with_ids(np.roll(np.maximum(kept.ids, 0), 4, axis=2))


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
