"""Order, seeding and collating: what must not depend on workers, ranks or resumes."""

import numpy as np
import pytest
import torch

from intarsia.core import Pixels, Sample, Segments
from intarsia.data.dataset import Dataset
from intarsia.data.scenes import CLASSES, scene
from intarsia.engine.loader import TrainingOrder, batches, collate
from intarsia.engine.pictures import Examples
from intarsia.transforms import training


@pytest.fixture(scope="module")
def data():
    return Dataset.from_samples([scene(0, index, (48, 64)) for index in range(8)], CLASSES)


def pictures(data, workers, epochs=range(2), first_step=0):
    examples = Examples(data, data.classes, Pixels(), training((32, 40)), seed=3)
    order = TrainingOrder(len(data), 2, epochs, seed=3, first_step=first_step)
    return [(batch.keys, batch.images.clone(), batch.targets.semantic()) for batch in batches(examples, order, workers=workers)]


def test_pictures_do_not_depend_on_the_number_of_workers(data):
    alone, two = pictures(data, 0), pictures(data, 2)
    assert len(alone) == len(two) == 8
    for (keys, images, labels), (other_keys, other_images, other_labels) in zip(alone, two, strict=True):
        assert keys == other_keys
        assert torch.equal(images, other_images)
        assert torch.equal(labels, other_labels)


def test_batches_that_are_kept_stay_what_they_were(data):
    """More of them than there is memory that is used again and again; and some given back in between, out of order."""
    examples = Examples(data, data.classes, Pixels(), training((24, 32), base=(24, 32)), seed=3)
    order = TrainingOrder(len(data), 2, range(12), seed=3)
    alone = [batch.images for batch in batches(examples, order)]
    assert len(alone) > 20
    kept = {}
    for number, batch in enumerate(batches(examples, order, workers=2)):
        kept[number] = batch.images
        if number % 3 == 2:
            del kept[number - 1]
    assert all(torch.equal(images, alone[number]) for number, images in kept.items())


def test_no_epoch_and_no_sample_repeats_a_picture(data):
    seen = {image.numpy().tobytes() for _, images, _ in pictures(data, 2) for image in images}
    assert len(seen) == 16


def test_a_resumed_order_goes_on_where_it_stopped(data):
    whole, rest = pictures(data, 0), pictures(data, 0, range(1, 2), first_step=1)
    for (keys, images, _), (other_keys, other_images, _) in zip(whole[5:], rest, strict=True):
        assert keys == other_keys
        assert torch.equal(images, other_images)


def tickets(**options):
    return list(TrainingOrder(20, epochs=range(3), seed=1, **options))


def test_two_ranks_together_take_what_one_process_takes():
    whole = tickets(batch_size=4)
    shares = [tickets(batch_size=2, rank=rank, ranks=2) for rank in (0, 1)]
    assert [first + second for first, second in zip(*shares, strict=True)] == whole


def test_accumulated_batches_are_a_large_one_in_parts():
    whole, parts = tickets(batch_size=4), tickets(batch_size=2, accumulate=2)
    assert [parts[i] + parts[i + 1] for i in range(0, len(parts), 2)] == whole


def test_an_epoch_takes_no_sample_twice_and_each_epoch_another_order():
    epochs = [[index for batch in tickets(batch_size=5)[4 * e : 4 * e + 4] for _, index, _ in batch] for e in range(3)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_set_smaller_than_a_batch_fills_it():
    (batch,) = TrainingOrder(3, 8, range(1))
    assert len(batch) == 8
    assert {index for _, index, _ in batch} == {0, 1, 2}
    assert len(set(batch)) == 8, "the same picture twice"


def test_collate_pads_layers_and_rows_and_keeps_dtype():
    one = Sample(np.full((2, 3, 5), 60000, np.uint16), Segments([[[1, 0, 0], [2, -1, 0]], [[0, 0, 0], [1, 0, 0]]], [4, 2]), "a")
    two = Sample(np.zeros((2, 3, 5), np.uint16), Segments([[[0, 0, 1], [0, 0, 0]]], [3]), "b", valid=np.zeros((2, 3), bool))
    batch = collate([one, two], num_classes=6)
    assert batch.images.shape == (2, 5, 2, 3)
    assert batch.images.dtype == torch.uint16
    assert batch.valid.tolist() == [[[True] * 3] * 2, [[False] * 3] * 2]
    assert batch.targets.classes.tolist() == [[4, 2], [3, -1]]
    assert batch.targets.semantic().tolist() == [[[4, 6, 6], [2, -1, 6]], [[6, 6, 3], [6, 6, 6]]]
