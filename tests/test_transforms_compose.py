"""Compose renders once what its transforms would render one by one; the default pipelines; each transform's own peculiarities."""

from __future__ import annotations

import numpy as np
import pytest

from intarsia.core import Sample, Segments
from intarsia.core.errors import OptionError
from intarsia.transforms import Compose, _plan, evaluation, training
from intarsia.transforms.blur import Blur
from intarsia.transforms.brightness import Brightness
from intarsia.transforms.contrast import Contrast
from intarsia.transforms.crop import Crop
from intarsia.transforms.flip import Flip
from intarsia.transforms.gamma import Gamma
from intarsia.transforms.noise import Noise
from intarsia.transforms.pad import Pad
from intarsia.transforms.random_resized_crop import RandomResizedCrop
from intarsia.transforms.resize import Resize
from intarsia.transforms.rotation import Rotation
from intarsia.transforms.saturation import Saturation
from intarsia.transforms.scale_and_crop import ScaleAndCrop
from intarsia.transforms.torchvision_v2 import TorchvisionV2
from intarsia.transforms.zoom import Zoom

RNG = np.random.default_rng


def sample(height=60, width=80, *, smooth=False):
    rows, cols = np.indices((height, width))
    noise = RNG(0).integers(0, 256, (height, width, 3))
    image = np.stack([rows * 2, cols * 2, rows + cols], axis=-1) if smooth else noise
    ids = (rows // 10 * 8 + cols // 10) % 7 - 1
    return Sample(image.astype(np.uint8), Segments(ids[None], range(5)), key="a")


def one_by_one(transforms, given, rng):
    for transform in transforms:
        given = transform(given, rng)
    return given


def equal(one, other):
    return np.array_equal(one.image, other.image) and np.array_equal(one.segments.ids, other.segments.ids)


def test_flips_and_crops_composed_are_those_one_by_one():
    transforms = (Flip(0.5, 0.5), Crop((50, 64)), Flip(0.5), Crop((31, 40)), Flip(0.5, 0.5))
    for seed in range(20):
        assert equal(Compose(transforms)(sample(), RNG(seed)), one_by_one(transforms, sample(), RNG(seed)))


def test_colours_composed_are_those_one_by_one_within_rounding():
    transforms = (Brightness(0.2), Contrast(0.2), Saturation(0.2))
    given = sample()
    mild = Sample((given.image // 3 + 80).astype(np.uint8), given.segments)  # nothing leaves the range on the way
    for seed in range(10):
        composed, single = Compose(transforms)(mild, RNG(seed)), one_by_one(transforms, mild, RNG(seed))
        assert np.abs(composed.image.astype(int) - single.image).max() <= 2


def test_warps_composed_are_those_one_by_one_on_a_smooth_picture():
    transforms = (Resize((90, 120)), Rotation(20), Crop((50, 60), at="centre"))
    for seed in range(5):
        composed = Compose(transforms)(sample(smooth=True), RNG(seed))
        single = one_by_one(transforms, sample(smooth=True), RNG(seed))
        assert composed.valid is None
        assert np.abs(composed.image.astype(int) - single.image).max() <= 2
        assert (composed.segments.ids == single.segments.ids).mean() > 0.9  # read at the nearest pixel once, not three times


def test_the_picture_is_rendered_once(monkeypatch):
    calls = []
    for name in ("warp_image", "warp_ids", "recolour"):
        original = getattr(_plan, name)
        monkeypatch.setattr(_plan, name, lambda *args, n=name, f=original, **options: (calls.append(n), f(*args, **options))[1])
    training((40, 40), rotation=10)(sample(), RNG(0))
    assert sorted(calls) == ["recolour", "warp_ids", "warp_image"]


def test_nothing_to_do_touches_nothing():
    given = sample()
    assert Compose(())(given, RNG(0)) is given
    assert evaluation()(given, RNG(0)) is given
    assert Flip(0.0)(given, RNG(0)) is given


def test_what_cannot_be_planned_ends_a_plan():
    def marked(given, rng, donor):
        assert given.image.shape == (30, 30, 3)
        return donor()

    black = Sample(np.zeros((30, 30, 3), np.uint8), Segments.empty((30, 30)))
    moved = Compose((Crop((30, 30)), marked, Crop((20, 20))))(sample(), RNG(0), lambda: black)
    assert moved.image.shape == (20, 20, 3)
    assert not moved.image.any()


def test_training_gives_the_size_asked_for_whatever_the_file():
    for size in ((20, 300), (60, 80), (333, 21)):
        for seed in range(8):
            moved = training((48, 64), rotation=15)(sample(*size), RNG(seed))
            assert moved.image.shape == (48, 64, 3)
            assert moved.size == size
    assert training((4, 40, 40))(Sample(np.zeros((6, 30, 50, 1), np.float32)), RNG(0)).image.shape == (4, 40, 40, 1)


def test_evaluation_shows_the_whole_picture():
    moved = evaluation((30, 40))(sample(), RNG(0))
    assert moved.valid is None
    assert np.array_equal(moved.segments.ids[0], sample().segments.ids[0][1::2, 1::2])  # ties fall to the later pixel


def test_scale_is_of_the_base():
    """At scale 1 and half its size as base, the whole picture is seen at half size."""
    moved = ScaleAndCrop((30, 40), (1.0, 1.0), base=(30, 40))(sample(), RNG(3))
    assert equal(moved, Resize((30, 40))(sample(), RNG(0)))
    cut = ScaleAndCrop((30, 40), (1.0, 1.0))(sample(), RNG(3))
    places = [(y, x) for y in range(31) for x in range(41) if np.array_equal(sample().image[y : y + 30, x : x + 40], cut.image)]
    assert len(places) == 1


def test_a_small_picture_lies_whole_within_its_void():
    moved = ScaleAndCrop((100, 100), (0.5, 0.5))(sample(), RNG(1))
    assert moved.valid.sum() == 30 * 40
    rows, cols = np.nonzero(moved.valid)
    part = moved.image[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
    assert np.array_equal(part, Resize((30, 40))(sample(), RNG(0)).image)


def test_the_window_has_the_share_asked_for(monkeypatch):
    windows = []
    monkeypatch.setattr(_plan.Plan, "seen", lambda plan, step, size: windows.append(step) or plan)
    for seed in range(200):
        RandomResizedCrop((50, 50), share=(0.2, 0.6))(Sample(np.zeros((100, 100, 1), np.uint8)), RNG(seed))
    shares = [step[0, 0] * 50 * step[1, 1] * 50 / 100**2 for step in windows]
    ratios = [step[1, 1] / step[0, 0] for step in windows]
    assert 0.19 < min(shares) < 0.25
    assert 0.55 < max(shares) < 0.61
    assert 0.72 < min(ratios) < 0.8
    assert 1.25 < max(ratios) < 1.39


def test_a_quarter_turn_is_numpys():
    given = sample(64, 64)
    quarter = Rotation(90)
    angle = next(seed for seed in range(10_000) if abs((r := RNG(seed)).random() * 0 + r.uniform(-90, 90)) > 89.97)
    moved = quarter(given, RNG(angle))
    turns = [(moved.segments.ids[0] == np.rot90(given.segments.ids[0], k)).mean() for k in (1, -1)]
    assert max(turns) > 0.97


def test_zoom_keeps_the_centre():
    image = np.zeros((41, 41, 1), np.uint8)
    image[20, 20] = 255
    for factor in (0.5, 2.0, 3.0):
        moved = Zoom((factor, factor))(Sample(image), RNG(0)).image[..., 0]
        weights = moved / moved.sum()
        assert np.allclose([(weights * axis).sum() for axis in np.indices((41, 41))], 20, atol=0.02)
        assert np.isclose(moved.sum() / 255, factor**2, rtol=0.3)


def test_spacing_follows_and_a_geotransform_is_dropped():
    given = Sample(np.zeros((8, 20, 30, 1), np.uint8), spacing=(3.0, 1.0, 0.5), geo={"crs": "EPSG:32633"})
    moved = Resize((16, 10, 30))(given, RNG(0))
    assert np.allclose(moved.spacing, (1.5, 2.0, 0.5))
    assert moved.geo is None
    assert Brightness()(given, RNG(0)).geo == given.geo


def test_confidence_moves_with_its_pixels():
    given = sample()
    confidence = np.linspace(0, 1, 80, dtype=np.float16)[None].repeat(60, 0)
    given = Sample(given.image, Segments(given.segments.ids, range(5), confidence=confidence))
    assert np.allclose(Flip(1.0)(given, RNG(0)).segments.confidence, confidence[:, ::-1], atol=1e-3)


def test_the_outside_stays_zero_under_colour_and_noise():
    steps = Compose((Pad(multiple=64), Contrast(0.3), Noise(0.3, 1.0), Blur((2.0, 2.0), 1.0)))
    moved = steps(sample(), RNG(0))
    assert not moved.image[~moved.valid].any()
    assert moved.image[moved.valid].any()


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_colour_does_not_depend_on_padding_nor_on_the_crop(dtype):
    """Black and white are those of the source, here 1000 and 2000, not those of the zeros around it or of the part that is left."""
    given = Sample(np.linspace(1000, 2000, 48, dtype=dtype).reshape(6, 8, 1))
    plain = Compose((Contrast(0.5), Gamma((2.0, 2.0))))(given, RNG(1)).image
    assert not np.array_equal(plain, given.image)
    for warp in (Pad(multiple=32), Crop((4, 4), at="centre")):
        moved = Compose((Contrast(0.5), Gamma((2.0, 2.0)), warp))(given, RNG(1))
        expected = warp(Sample(plain), RNG(0))
        assert np.abs(moved.image.astype(float) - expected.image).max() <= 1
    padded = Pad(multiple=32)(given, RNG(0))  # rendered by itself: its padding is nodata of the next source
    again = Compose((Contrast(0.5), Gamma((2.0, 2.0))))(padded, RNG(1))
    assert np.abs(again.image[padded.valid].astype(float) - plain.reshape(-1, 1)).max() <= 1


def test_one_nan_stays_one_nan():
    image = np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8, 1)
    broken = image.copy()
    broken[2, 3] = np.nan
    steps = Compose((Brightness(0.3), Contrast(0.3), Gamma()))
    moved, sound = steps(Sample(broken), RNG(1)).image, steps(Sample(image), RNG(1)).image
    assert np.argwhere(np.isnan(moved)).tolist() == [[2, 3, 0]]
    np.testing.assert_allclose(np.delete(moved.ravel(), 19), np.delete(sound.ravel(), 19), rtol=1e-6)


def test_contrast_leaves_the_middle_and_gamma_the_ends():
    grey = Sample(np.full((4, 4, 1), 32768, np.uint16))
    assert abs(int(Contrast(0.9)(grey, RNG(0)).image[0, 0, 0]) - 32768) <= 1
    ends = Sample(np.float32([[[0.0], [5.0]]]))
    assert np.allclose(Gamma((2.0, 2.0))(ends, RNG(0)).image.ravel(), [0, 5])


# -- the plug for torchvision ------------------------------------------------------------------------------------------------------


def test_what_torchvision_fills_is_void_and_not_valid():
    given = sample()
    ids = np.maximum(given.segments.ids[0], 0)
    upper = np.zeros_like(ids)
    upper[20:40, 20:40] = 5
    given = Sample(given.image, Segments(np.stack([ids, upper]), range(5)))
    moved = TorchvisionV2("RandomRotation", {"degrees": (30, 30)})(given, RNG(0))
    assert (~moved.valid).sum() > 500
    assert np.array_equal(moved.segments.void, ~moved.valid)
    assert moved.segments.ids[1].min() == 0
    assert (moved.segments.ids[1] == 5).sum() > 300


def test_torchvision_draws_once_for_image_and_ids():
    """A mask that has lost its type is passed over in silence; were it so here, image and ids would part."""
    given = sample()
    painted = Sample((given.segments.ids[0][..., None] + 1).astype(np.uint8), given.segments)
    crop = TorchvisionV2("RandomCrop", {"size": (32, 40)})
    results = [crop(painted, RNG(seed)) for seed in range(4)]
    assert all(np.array_equal(moved.image[..., 0], moved.segments.ids[0] + 1) for moved in results)
    assert not equal(results[0], results[1])


def test_torchvision_leaves_torchs_random_state_alone():
    import torch

    torch.manual_seed(7)
    first = torch.rand(1)
    torch.manual_seed(7)
    TorchvisionV2("RandomHorizontalFlip")(sample(), RNG(0))
    assert torch.equal(torch.rand(1), first)


def test_torchvision_reseeds_no_gpu(monkeypatch):
    import torch

    for name in ("manual_seed", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, lambda seed: pytest.fail("the GPUs were reseeded"))
    one, other = (TorchvisionV2("RandomCrop", {"size": (32, 40)})(sample(), RNG(seed)).image for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_torchvision_colour_takes_a_callable_too():
    from torchvision.transforms import v2

    moved = TorchvisionV2(v2.ColorJitter(brightness=(0.5, 0.5)))(sample(), RNG(0))
    assert np.abs(moved.image.astype(int) - sample().image / 2).max() <= 1
    assert np.array_equal(moved.segments.ids, sample().segments.ids)


@pytest.mark.parametrize(
    ("plug", "text"),
    [
        (TorchvisionV2("RandomHorizontalFlop"), "Did you mean 'RandomHorizontalFlip'"),
        (TorchvisionV2("ToDtype", {"dtype": __import__("torch").float32, "scale": True}), "expected the image in its own dtype"),
        (TorchvisionV2(lambda image, mask: (image, mask[None])), "expected image and mask of one size, received Tensor"),
    ],
)
def test_torchvision_refusals(plug, text):
    with pytest.raises(OptionError, match=text):
        plug(sample(), RNG(0))


# -- options -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Resize((0, 4)), r"Resize size: expected \(H, W\) or \(D, H, W\), whole numbers above 0, received \(0, 4\)"),
        (lambda: Resize(480), "Resize size: expected .* received 480"),
        (lambda: Crop((4, 4), at="top"), "Crop at: expected 'random' or 'centre', received 'top'"),
        (lambda: ScaleAndCrop((4, 4), (2.0, 0.5)), r"ScaleAndCrop scale: expected \(low, high\) with 0 < low <= high"),
        (lambda: RandomResizedCrop((4, 4), share=(0.0, 1.0)), "RandomResizedCrop share"),
        (lambda: Flip(1.5), "Flip horizontal: expected a number from 0 to 1, received 1.5"),
        (lambda: Rotation(-5), "Rotation degrees: expected a number from 0 to 180, received -5"),
        (lambda: Brightness(1.5), "Brightness amount: expected a number from 0 to 1, received 1.5"),
        (lambda: Gamma((0.0, 1.0)), "Gamma power"),
        (lambda: Blur((0.0, 1.0)), "Blur sigma"),
        (lambda: Noise(-0.1), "Noise std: expected a number from 0 to 1, received -0.1"),
        (lambda: Pad(0), "Pad multiple: expected a whole number above 0, received 0"),
        (lambda: Zoom((1.0, 0.5)), "Zoom scale"),
        (lambda: training((4, 4), colour=2.0), "Brightness amount"),
        (lambda: Resize((4, 4, 4))(sample(), RNG(0)), r"Resize size: expected 2 numbers for an image of size \(60, 80\)"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(make, text):
    with pytest.raises(OptionError, match=text):
        make()
