"""What every transform promises, tried on every file of the folder."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import replace

import numpy as np
import pytest

from intarsia.core import Sample, Segments
from intarsia.core.catalogue import find, members
from intarsia.core.errors import OptionError

PLANE, VOLUME = (96, 130), (6, 48, 66)
GIVEN = {PLANE: {"size": (64, 80)}, VOLUME: {"size": (4, 40, 44)}}
DTYPES = (np.uint8, np.uint16, np.int16, np.float32)
NAMES = members("transforms")


def made(name, size=PLANE):
    """The transform by its defaults; `size` and a torchvision class are the only arguments that may have none."""
    kind = find("transforms", name)
    given = {**GIVEN[size], "transform": "RandomHorizontalFlip"}
    needed = [key for key, parameter in inspect.signature(kind).parameters.items() if parameter.default is inspect.Parameter.empty]
    return kind(**{key: given[key] for key in needed})


def painted(size=PLANE, dtype=np.uint8, channels=3, block=32, key="street"):
    """Blocks of ids 1 and 2, of the classes 3 and 1, painted dark and bright; nothing is void, everything is valid."""
    blocks = sum(axis // block for axis in np.indices(size)) % 2
    dark, bright = (70, 180) if dtype == np.uint8 else (7000, 18000)
    tint = np.arange(channels) * (bright - dark) / 10  # grey would hide a change of saturation
    image = (np.where(blocks[..., None], bright, dark) + tint).astype(dtype)
    segments = Segments(
        (blocks + 1)[None].astype(np.int8), [3, 1], scores=[0.25, 0.5], crowd=[True, False], boxes=np.ones((2, 2 * len(size)))
    )
    for array in (image, segments.ids):
        array.setflags(write=False)
    stats = np.tile(np.float32([0, 255 if dtype == np.uint8 else 25000]), (channels, 1))
    return Sample(image, segments, key=key, stats=stats, size=tuple(2 * n for n in size), spacing=(2.0,) * len(size))


def seeded(transform, sample, seed):
    """The sample transformed; further samples for those that take of them are larger, of other blocks and other stats."""
    size = tuple(2 * extent - 9 for extent in sample.image.shape[:-1])

    def donor():
        other = painted(size, sample.image.dtype, sample.image.shape[-1], block=41, key="donor")
        return replace(other, stats=None if sample.stats is None else other.stats * np.float32(1.03))

    return transform(sample, np.random.default_rng(seed), donor)


def bright_and_seen(segments):
    """(*S) whether the class seen is the bright one, and whether anything is."""
    classes = segments.semantic(4)
    return classes == 1, (classes >= 0) & (classes < 4)


def same(one, other):
    return (
        np.array_equal(one.image, other.image)
        and np.array_equal(one.segments.ids, other.segments.ids)
        and np.array_equal(one.valid if one.valid is not None else True, other.valid if other.valid is not None else True)
    )


@pytest.mark.parametrize("name", NAMES)
def test_ids_stay_on_the_image_pixel_for_pixel(name):
    transform, sample = made(name), painted()
    for seed in range(12):
        moved = seeded(transform, sample, seed)
        (wanted, within), grey = bright_and_seen(moved.segments), moved.image.astype(float).mean(axis=-1)
        bright, dark = np.median(grey[within & wanted]), np.median(grey[within & ~wanted])
        shown = grey > (bright + dark) / 2
        assert bright > dark + 20
        # the rest is corners of blocks, which a linear read rounds off; half a pixel astray would cost 4 in 100 and more
        assert (shown == wanted)[within].mean() > 0.99, seed


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_alone_decides(name):
    transform, sample = made(name), painted()
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    transform(sample, rng, painted)
    draws = rng.bit_generator.state != before
    results = [seeded(transform, sample, seed) for seed in range(12)]
    assert all(same(result, seeded(transform, sample, seed)) for seed, result in enumerate(results))
    assert any(not same(results[0], result) for result in results[1:]) == draws


@pytest.mark.parametrize("name", NAMES)
def test_no_row_is_lost_and_given_boxes_do_not_outlive_their_pixels(name):
    transform, sample = made(name), painted()
    for seed in range(6):
        moved = seeded(transform, sample, seed)
        assert moved.segments.classes.tolist()[:2] == [3, 1]  # rows of others may follow
        assert moved.segments.scores.tolist()[:2] == [0.25, 0.5]
        assert moved.segments.crowd.tolist()[:2] == [True, False]
        if not np.array_equal(moved.segments.ids, sample.segments.ids):
            assert np.array_equal(moved.segments.boxes, Segments(moved.segments.ids, moved.segments.classes).boxes)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_without_pixels_stays(name):
    sample = painted()
    ids = np.zeros((2, *PLANE), np.int8)
    ids[1, 40, 50] = 2
    moved = seeded(made(name), Sample(sample.image, Segments(ids, [0, 1, 2])), 0)
    assert len(moved.segments) >= 3
    assert len(moved.segments.ids) == 2
    assert moved.segments.ids[1].min() >= 0  # void is told in layer 0 alone


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("name", NAMES)
def test_dtype_and_channels_are_kept(name, channels, dtype):
    sample = painted(dtype=dtype, channels=channels)
    for seed in range(3):
        moved = seeded(made(name), sample, seed)
        assert moved.image.dtype == dtype
        assert moved.image.shape == (*moved.segments.size, channels)
        assert moved.segments.ids.dtype == np.int8
        grey = moved.image[moved.segments.ids[0] > 0].astype(float)
        assert grey.std() > 0.05 * grey.mean()  # still a picture


@pytest.mark.parametrize("name", NAMES)
def test_the_outside_is_void_not_valid_and_zero(name):
    for seed in range(12):
        moved = seeded(made(name), painted(), seed)
        outside = np.zeros(moved.segments.size, bool) if moved.valid is None else ~moved.valid
        assert np.array_equal(moved.segments.void, outside)
        assert not moved.image[outside].any()


@pytest.mark.parametrize("name", NAMES)
def test_nodata_moves_with_the_pixels(name):
    sample = painted()
    valid = sample.segments.ids[0] == 1
    moved = seeded(made(name), Sample(sample.image, sample.segments, valid=valid), 1)
    own = moved.segments.ids[0] <= 2
    assert np.array_equal(moved.valid[own], moved.segments.ids[0][own] == 1)
    assert moved.valid[~own].all()  # of another sample, all valid


@pytest.mark.parametrize("name", NAMES)
def test_what_is_known_of_the_file_is_carried(name):
    sample = painted()
    moved = seeded(made(name), sample, 0)
    assert (moved.key, moved.size) == (sample.key, sample.size)
    assert np.array_equal(moved.stats, sample.stats)
    assert seeded(made(name), Sample(sample.image, key="no truth"), 0).segments is None


@pytest.mark.parametrize("name", NAMES)
def test_workers_can_be_given_it(name):
    transform = made(name)
    assert same(seeded(pickle.loads(pickle.dumps(transform)), painted(), 5), seeded(transform, painted(), 5))


@pytest.mark.parametrize("name", NAMES)
def test_a_volume_is_moved_like_a_picture_or_refused(name):
    sample = painted(VOLUME)
    transform = made(name, VOLUME)
    for seed in range(4):
        try:
            moved = seeded(transform, sample, seed)
        except OptionError:
            with pytest.raises(OptionError, match="volume"):
                seeded(transform, sample, seed)
            return
        (wanted, within), grey = bright_and_seen(moved.segments), moved.image.astype(float).mean(axis=-1)
        if (within & wanted).any() and (within & ~wanted).any():  # a window within one block says nothing
            middle = (np.median(grey[within & wanted]) + np.median(grey[within & ~wanted])) / 2
            assert ((grey > middle) == wanted)[within].mean() > 0.98
        assert np.array_equal(moved.segments.void, np.zeros(grey.shape, bool) if moved.valid is None else ~moved.valid)
