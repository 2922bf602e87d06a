"""Weights from the pixel counts, by hand; and what crops around rare classes do to the pixels that a training sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from intarsia.core import ClassSet, Pixels, Sample, Segments
from intarsia.core.errors import OptionError
from intarsia.data.dataset import Dataset
from intarsia.engine.class_weights import class_weights, pixel_counts, rare_chances
from intarsia.engine.devices import accelerator_for
from intarsia.engine.ingredients import Ingredients
from intarsia.engine.loader import TrainingOrder, batches
from intarsia.engine.options import TrainOptions
from intarsia.engine.pictures import Examples, augmented, pipeline

NAMES = ("road", "car", "pole", "ghost")


def street(index, size=(96, 128)):
    """Road, a third of it cars, and in every other image a pole of 2 x 12 pixels; a ghost nowhere."""
    rng = np.random.default_rng(index)
    labels = np.zeros(size, int)
    labels[:, : size[1] // 3] = 1
    if index % 2:
        row, column = rng.integers(5, 80), rng.integers(5, 120)
        labels[row : row + 12, column : column + 2] = 2
    return Sample(rng.integers(0, 256, (*size, 3), np.uint8), Segments.from_semantic(labels, 4), f"{index:02}")


@pytest.fixture(scope="module")
def data():
    samples = [street(index) for index in range(16)]
    return Dataset.from_samples(samples, ClassSet(NAMES), splits={sample.key: "train" for sample in samples})


# -- weights -------------------------------------------------------------------------------------------------------------------


def test_the_effective_number_is_that_of_the_paper():
    counts, homes = np.array([1e6, 1e5, 100.0, 0.0]), np.full(4, 2e6)
    beta = 0.99999
    by_hand = np.array([(1 - beta) / (1 - beta**n) for n in counts[:3]])
    weights = class_weights("effective_number", counts, homes, beta=beta)
    assert weights[:3] == pytest.approx(by_hand / by_hand.mean(), rel=1e-5)
    assert weights[3] == 0
    assert class_weights("effective_number", counts, homes, beta=0.0)[:3] == pytest.approx([1, 1, 1])
    near = class_weights("effective_number", counts, homes, beta=1 - 1e-12)
    assert near[:3] == pytest.approx(class_weights("inverse", counts, homes)[:3], rel=1e-2)


def test_median_frequency_is_of_the_images_that_show_a_class():
    counts, homes = np.array([8.0, 2.0, 4.0]), np.array([16.0, 4.0, 32.0])  # frequencies 1/2, 1/2, 1/8: weights 1, 1, 4
    assert class_weights("median_frequency", counts, homes).tolist() == [0.5, 0.5, 2]
    assert class_weights("sqrt_median_frequency", counts, homes).tolist() == [0.75, 0.75, 1.5]


@given(
    st.lists(st.integers(0, 10**9), min_size=2, max_size=6).filter(any),
    st.sampled_from(["inverse", "median_frequency", "sqrt_median_frequency", "effective_number"]),
)
def test_weights_have_mean_one_and_rarer_classes_no_smaller_ones(pixels, kind):
    counts = np.array(pixels, float)
    weights = class_weights(kind, counts, np.full(len(counts), counts.sum()))
    assert weights[counts > 0].mean() == pytest.approx(1, rel=1e-4)
    assert not weights[counts == 0].any()
    order = np.argsort(counts[counts > 0], kind="stable")
    assert (np.diff(weights[counts > 0][order]) <= 1e-6).all()


def test_a_training_takes_them_with_its_beta(data):
    options = TrainOptions(class_weights="effective_number", effective_beta=0.9999, model_args={"widths": (4, 8)}, device="cpu")
    parts = Ingredients(data, options, accelerator_for(options))
    counts, homes = pixel_counts(data, 4)
    assert parts.loss.losses[0].class_weights == class_weights("effective_number", counts, homes, beta=0.9999).tolist()
    assert parts.class_shares() == pytest.approx(dict(zip(NAMES, counts / counts.sum(), strict=True)))


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_layout_of_the_network_is_the_option_s(data, channels_last):
    assert TrainOptions().channels_last
    options = TrainOptions(channels_last=channels_last, model_args={"widths": (4, 8)}, device="cpu")
    kernels = [
        one for one in Ingredients(data, options, accelerator_for(options)).bare.parameters() if min(one.shape[1:], default=0) > 1
    ]
    assert kernels
    for kernel in kernels:
        assert kernel.is_contiguous(memory_format=torch.channels_last) == channels_last


def labelled(*layers, classes, names, groups=()):
    segments = Segments(np.array(layers, np.int8), classes)
    sample = Sample(np.zeros((*segments.ids.shape[1:], 3), np.uint8), segments, "0")
    return Dataset.from_samples([sample], ClassSet(names, groups=groups))


def test_a_class_of_two_groups_counts_all_its_pixels():
    """The core lies within the whole; each is asked for itself."""
    whole, core = [[1, 1, 1, 1, 0, -1]], [[0, 2, 2, 0, 0, 0]]
    nested = labelled(whole, core, classes=[0, 1], names=("whole", "core"), groups=(("whole",), ("core",)))
    counts, homes = pixel_counts(nested, 2)
    assert counts.tolist() == [4, 2]
    assert homes.tolist() == [5, 5]


def test_segments_that_are_not_trained_do_not_count():
    street = Segments(np.array([[[1, 1, 2, -1]]], np.int8), [0, 1])
    classes = ClassSet(("road", "car"), things=("car",))
    data = Dataset.from_samples([Sample(np.zeros((1, 4, 3), np.uint8), street, "0")], classes)
    assert pixel_counts(data, 2)[0].tolist() == [2, 1]
    assert pixel_counts(data, 2, which="things")[0].tolist() == [0, 1]


def test_nothing_counts_where_it_has_a_channel():
    data = labelled([[1, 1, 0, -1]], classes=[0], names=("road",))
    assert pixel_counts(data, 1)[0].tolist() == [2]
    assert [values.tolist() for values in pixel_counts(data, 2)] == [[2, 1], [3, 3]]


def test_a_class_that_the_first_images_miss_is_looked_for():
    samples = [
        Sample(np.zeros((2, 2, 3), np.uint8), Segments.from_semantic(np.full((2, 2), int(at == 3)), 2), f"{at}") for at in range(9)
    ]
    data = Dataset.from_samples(samples, ClassSet(("road", "pole")))
    assert pixel_counts(data, 2, enough=2)[0].tolist() == [16, 4], "0 and 8, then 1, 2, 3"
    assert class_weights("inverse", *pixel_counts(data, 2, enough=2)).min() > 0


# -- crops ---------------------------------------------------------------------------------------------------------------------


def shown(data, **changes):
    """The share of each class in two epochs of crops."""
    options = TrainOptions(size=(96, 128), crop=(32, 32), scale=(0.75, 1.5), **changes)
    chances = rare_chances(pixel_counts(data, 4)[0], 4) if options.rare_crops else None
    examples = Examples(data, data.classes, Pixels(), pipeline((96, 128), options, chances=chances), seed=1)
    counts = np.zeros(4)
    for epoch in range(2):
        for index in range(len(data)):
            labels = examples[epoch, index, 0].segments.semantic(4)
            counts += np.bincount(labels[labels >= 0], minlength=4)
    return counts / counts.sum()


@pytest.mark.parametrize("rotation", [0.0, 20.0])
def test_crops_around_rare_classes_show_many_times_more_of_them(data, rotation):
    plain, rare = shown(data, rotation=rotation), shown(data, rotation=rotation, rare_crops=0.8)
    assert rare[2] > 3 * plain[2]
    assert rare[2] > 0.003
    assert min(rare[:2]) > 0.2, "the others are still seen"
    half = shown(data, rotation=rotation, rare_crops=0.4)
    assert plain[2] < half[2] < rare[2]


def test_they_depend_on_seed_epoch_and_key_alone(data):
    options = TrainOptions(size=(96, 128), crop=(32, 32), rare_crops=0.5)
    chances = rare_chances(pixel_counts(data, 4)[0], 4)
    examples = Examples(data, data.classes, Pixels(), pipeline((96, 128), options, chances=chances), seed=1)
    order = TrainingOrder(len(data), 4, range(1), seed=1)
    alone, two = (list(batches(examples, order, workers=workers)) for workers in (0, 2))
    assert all(torch.equal(a.images, b.images) and a.keys == b.keys for a, b in zip(alone, two, strict=True))
    assert not np.array_equal(examples[0, 1, 0].image, examples[1, 1, 0].image)


def test_without_them_pictures_are_what_they_were(data):
    options = TrainOptions(size=(96, 128), crop=(32, 32))
    one, other = (
        Examples(data, data.classes, Pixels(), pipeline((96, 128), options, chances=chances), seed=1)[0, 3, 0]
        for chances in (None, (0.0, 0.1, 1.0, 0.0))
    )
    assert np.array_equal(one.image, other.image)


def test_a_training_and_its_picture_show_them(data):
    options = TrainOptions(
        size=(96, 128), crop=(32, 32), rare_crops=1.0, model_args={"widths": (4, 8)}, device="cpu", batch_size=8, augment=True
    )
    parts = Ingredients(data, options, accelerator_for(options))
    seen = [batch.targets.semantic() for batch in parts.batches(parts.order(range(1)))]
    with_pole = sum(bool((labels == 2).any()) for batch in seen for labels in batch)
    assert with_pole == 8, "every image that has a pole shows it: it is by far the rarest class"
    drawn = augmented(data, options, 16)
    assert sum(2 in sample.segments.semantic(4) for sample in drawn) == 8


def test_a_sample_is_read_once(data):
    class Counted(list):
        reads = 0

        def __getitem__(self, index):
            Counted.reads += 1
            return super().__getitem__(index)

    options = TrainOptions(size=(96, 128), crop=(32, 32), rare_crops=1.0)
    examples = Examples(Counted(data), data.classes, Pixels(), pipeline((96, 128), options, chances=(0, 0, 1, 0)), seed=1)
    examples[0, 1, 0]
    assert Counted.reads == 1


def test_asked_for_in_vain_they_are_refused():
    with pytest.raises(OptionError, match="--rare-crops: expected --augment, which makes the pictures, received --no-augment"):
        TrainOptions(rare_crops=0.5, augment=False)
