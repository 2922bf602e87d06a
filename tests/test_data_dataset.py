"""Dataset: the label cache, parts, pickling, fingerprint."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _trees import ROADS, camvid_tree, mask, mask_tree, picture, sample
from intarsia.core import Segments
from intarsia.core.errors import OptionError, PairingError
from intarsia.data.dataset import Dataset, share_of
from intarsia.data.images import write_image, write_labels
from intarsia.data.label_cache import LabelCache
from intarsia.data.open import open_dataset


class Counting:
    """Reads a label and counts how often."""

    def __init__(self, segments):
        self.segments, self.reads = segments, 0

    def __call__(self):
        self.reads += 1
        return self.segments


def blocks(seed: int = 0, size: int = 40) -> Segments:
    """Large blocks, whose runs are far smaller than their pixels."""
    ids = np.kron(np.random.default_rng(seed).integers(-1, 3, (4, 4)), np.ones((size // 4, size // 4), int))
    return Segments(ids[None], [4, 2, 4], crowd=[False, True, False], boxes=np.arange(12).reshape(3, 4), areas=[1, 2, 3])


def noise() -> Segments:
    """A label whose runs are larger than its pixels."""
    return Segments(np.random.default_rng(0).integers(-1, 3, (1, 30, 30)), [0, 1])


def test_a_label_is_decoded_once_and_comes_back_whole():
    cache, read = LabelCache(10_000), Counting(blocks())
    first, second = cache.get("a", read), cache.get("a", read)
    assert read.reads == 1
    assert first is read.segments
    assert second == first
    assert second.ids.dtype == first.ids.dtype
    np.testing.assert_array_equal(second.boxes, first.boxes)
    np.testing.assert_array_equal(second.areas, first.areas)
    assert cache.used < first.ids.nbytes


def test_the_budget_is_kept_and_the_first_stay():
    cache = LabelCache(1000)
    reads = [Counting(blocks(seed)) for seed in range(8)]
    for _ in range(3):
        for key, read in enumerate(reads):
            assert cache.get(str(key), read) == read.segments
    assert 0 < len(cache) < 8
    assert cache.used <= 1000
    assert [read.reads for read in reads] == [1] * len(cache) + [3] * (8 - len(cache))


def test_no_budget_keeps_nothing():
    cache, read = LabelCache(0), Counting(blocks())
    for _ in range(2):
        cache.get("a", read)
    assert (read.reads, len(cache), cache.used) == (2, 0, 0)


def test_noise_is_kept_as_pixels():
    cache = LabelCache(10_000)
    assert cache.get("a", noise) == cache.get("a", lambda: None) == noise()
    assert cache.used == noise().ids.nbytes


def test_overlap_and_missing_truth_pass_through_the_cache():
    two = Segments([[[1, 1, -1]], [[2, 0, 0]]], [0, 0])
    cache = LabelCache(1000)
    cache.get("a", lambda: two)
    assert cache.get("a", lambda: None) == two
    assert cache.get("b", lambda: None) is None


@pytest.mark.parametrize("make", [blocks, noise])
def test_changing_a_returned_label_does_not_change_the_next(make):
    cache = LabelCache(10_000)
    for _ in range(3):
        held = cache.get("a", make)
        assert held == make()
        held.ids[:] = 0


def test_splits_share_the_cache_and_pickling_drops_it(tmp_path):
    data = open_dataset(camvid_tree(tmp_path))
    data.check()
    assert data.split("train").cache is data.cache
    assert len(data.cache) == 3
    there = pickle.loads(pickle.dumps(data))
    assert len(there.cache) == 0
    assert there.cache.budget == data.cache.budget
    assert there[1].segments == data[1].segments
    assert there.fingerprint() == data.fingerprint()


def test_a_sample_carries_key_classes_and_size(tmp_path):
    one = open_dataset(mask_tree(tmp_path))[1]
    assert (one.key, one.size, one.classes.names) == ("b", (12, 16), ("sky", "road", "car"))
    np.testing.assert_array_equal(one.image, picture(1))
    np.testing.assert_array_equal(one.segments.semantic(3), mask(1))


def test_parts_of_a_data_set(tmp_path):
    data = open_dataset(mask_tree(tmp_path, tuple("abcdefgh")))
    assert len(data[2:5]) == 3
    assert data[2:5].keys == ["c", "d", "e"]
    assert data[-1].key == "h"
    assert [one.key for one in data] == list("abcdefgh")
    with pytest.raises(IndexError):
        data[8]


@given(st.integers(1, 60), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 3))
def test_a_larger_share_contains_a_smaller_one(count, a, b, seed):
    keys = [f"k{number}" for number in range(count)]
    small, large = (share_of(keys, share, seed) for share in sorted((a, b)))
    assert small <= large
    assert len(large) == max(1, round(max(a, b) * count))
    assert share_of(keys[::-1], a, seed) == share_of(keys, a, seed)


def test_two_samples_of_one_key_are_refused():
    with pytest.raises(PairingError, match=r"expected each key once, received \['s0'\]"):
        Dataset.from_samples([sample(0), sample(0)], ROADS)


def test_fraction_keeps_the_order_and_is_seeded():
    data = Dataset.from_samples([sample(seed) for seed in range(20)], ROADS)
    half = data.fraction(0.5)
    assert len(half) == 10
    assert half.keys == [key for key in data.keys if key in half.keys]
    assert data.fraction(0.5, seed=1).keys != half.keys
    assert share_of(["a", "b", "c", "d"], 0.5, 0) == {"c", "d"}  # computed once: the same on every machine and release
    with pytest.raises(OptionError, match="above 0, at most 1, received 0"):
        data.fraction(0)


def test_sizes_that_differ_are_noticed_without_a_check_too(tmp_path):
    data = open_dataset(mask_tree(tmp_path))
    write_labels(tmp_path / "masks" / "b.png", mask(1, size=(12, 15)))
    with pytest.raises(PairingError, match=r"masks/b.png: expected the size of its image .*16x12"):
        data[1]


def test_the_fingerprint_is_of_content_not_of_place(tmp_path):
    data = open_dataset(mask_tree(tmp_path / "here"))
    shutil.copytree(tmp_path / "here", tmp_path / "elsewhere" / "there")
    assert open_dataset(tmp_path / "elsewhere" / "there").fingerprint() == data.fingerprint()
    assert data.subset(data.records[::-1]).fingerprint() == data.fingerprint()


@pytest.mark.parametrize("change", ["image", "mask", "name", "class", "fewer"])
def test_the_fingerprint_notices(change, tmp_path):
    root = mask_tree(tmp_path)
    before = open_dataset(root).fingerprint()
    if change == "image":
        write_image(root / "images" / "b.png", picture(7))
    if change == "mask":
        write_labels(root / "masks" / "b.png", mask(7))
    if change == "name":
        for folder in ("images", "masks"):
            (root / folder / "b.png").rename(root / folder / "x.png")
    if change == "class":
        (root / "codes.txt").write_text("sky\nroad\nbus\n")
    data = open_dataset(root)
    after = (data[:2] if change == "fewer" else data).fingerprint()
    assert after != before
    assert len(after) == 32


def test_the_fingerprint_reads_the_end_of_large_files(tmp_path):
    root = mask_tree(tmp_path)
    large = np.zeros((400, 400, 3), np.uint8)
    np.save(root / "images" / "a.npy", large)
    (root / "images" / "a.png").unlink()
    write_labels(root / "masks" / "a.png", mask(0, size=(400, 400)))
    before = open_dataset(root).fingerprint()
    large[-1, -1, -1] = 1
    np.save(root / "images" / "a.npy", large)
    assert open_dataset(root).fingerprint() != before


def test_samples_in_memory_have_a_fingerprint_too():
    one, other = (Dataset.from_samples([sample(seed)], ROADS).fingerprint() for seed in (0, 1))
    assert one != other
