"""The one table: golden values, and the same answer by table, by matrix and step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from intarsia.ops.colour import add_step, greying, recolour, value_range

CURVES = {
    "brightness": ((1.3, 0.0, 1.0),),
    "contrast": ((0.6, 0.2, 1.0),),
    "gamma": ((1.0, 0.0, 2.2),),
    "all": ((1.3, -0.15, 0.7), (0.8, 0.1, 1.0)),
}


def by_definition(image, mix, curve, low, high):
    values = image.astype(np.float64)
    if mix is not None:
        values = values @ mix.T
    values = (values - low) / (high - low)
    for scale, shift, power in curve:
        values = scale * values + shift
        values = np.sign(values) * np.abs(values) ** power
    values = values * (high - low) + low
    if image.dtype.kind == "f":
        return values
    bounds = np.iinfo(image.dtype)
    return np.clip(np.rint(values), bounds.min, bounds.max)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.int32])
@pytest.mark.parametrize("channels", [1, 3, 6, 200])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_every_dtype_is_the_definition(dtype, channels, mixed, curve):
    image = np.random.default_rng(0).integers(0, 256, (8, 9, channels))
    image = (image * (1 if dtype == np.uint8 else 100) - (0 if np.dtype(dtype).kind == "u" else 9000)).astype(dtype)
    low, high = value_range(image)
    mix = greying(channels, 0.7) if mixed else None
    ours = recolour(image, mix, curve, low=low, high=high)
    assert (ours.dtype, ours.shape) == (image.dtype, image.shape)
    far = np.abs(ours - by_definition(image, mix, curve, low, high))
    if dtype == np.float32:
        assert far.max() <= 1e-6 * (high - low)
    elif (mixed and curve[0][2] != 1) or len(curve) > 1:
        assert far.mean() < 1  # rounded between matrix and table, which a steep curve widens
        assert far.max() <= (10 if mixed else 0)
    else:
        assert far.max() <= 1  # cv2 computes in float32: what lies between two whole numbers may fall either way
        assert far.mean() < 0.2


def test_golden():
    image = np.uint8([[[0], [51], [102], [255]]])
    assert recolour(image, None, ((2.0, 0.0, 1.0),)).ravel().tolist() == [0, 102, 204, 255]  # brightness 2
    assert recolour(image, None, ((0.5, 0.25, 1.0),)).ravel().tolist() == [64, 89, 115, 191]  # contrast 0.5 about 127.5
    assert recolour(image, None, ((1.0, 0.0, 2.0),)).ravel().tolist() == [0, 10, 41, 255]  # gamma 2: 255 * (v / 255) ^ 2
    red = np.uint8([[[200, 0, 0]]])
    assert recolour(red, greying(3, 0.0), ()).ravel().tolist() == [60, 60, 60]  # 0.299 * 200


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.6])
def test_saturation_and_brightness_are_torchvisions(factor):
    image = np.random.default_rng(0).integers(0, 256, (16, 17, 3)).astype(np.uint8)
    tensor = torch.from_numpy(np.moveaxis(image, -1, 0).copy())
    for ours, theirs in (
        (recolour(image, greying(3, factor), ()), tv.adjust_saturation(tensor, factor)),
        (recolour(image, None, ((factor, 0.0, 1.0),)), tv.adjust_brightness(tensor, factor)),
    ):
        assert np.abs(np.moveaxis(ours, -1, 0).astype(int) - theirs.numpy()).max() <= 2  # they cut off, we round


def test_affine_steps_fold_into_one_and_a_power_starts_anew():
    curve = ()
    for step in ((1.2, 0.0, 1.0), (0.5, 0.25, 1.0), (1.0, 0.0, 2.0), (1.1, 0.0, 1.0)):
        curve = add_step(curve, *step)
    assert np.allclose(curve, [(0.6, 0.25, 2.0), (1.1, 0.0, 1.0)])


def test_a_mix_and_an_affine_curve_are_one_matrix():
    """Nothing is cut off between the two: a colour pushed out of range by one and back by the other survives."""
    image = np.uint8([[[250, 10, 10]]])
    away, back = greying(3, 2.0), ((0.5, 0.25, 1.0),)
    assert np.abs(recolour(image, away, back) - by_definition(image, away, back, 0, 255)).max() <= 1


def test_floats_are_not_clipped_and_keep_their_sign():
    image = np.float32([[[-1.0], [2.0]]])
    assert recolour(image, None, ((1.0, 0.0, 2.0),), low=0, high=1).ravel().tolist() == [-1.0, 4.0]


def test_a_constant_image_stays():
    image = np.full((2, 2, 1), 5.0, np.float32)
    low, high = value_range(image)
    assert np.array_equal(recolour(image, None, ((2.0, 0.3, 0.5),), low=low, high=high), image)


def test_a_volume_is_its_slices():
    volume = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3)).astype(np.uint8)
    args = greying(3, 0.4), CURVES["all"]
    assert np.array_equal(recolour(volume, *args), np.stack([recolour(plane, *args) for plane in volume]))


def test_what_counts_as_black_and_white():
    assert value_range(np.zeros((1, 1, 1), np.uint8)) == (0.0, 255.0)
    assert value_range(np.float32([[[-3.0], [9.0]]])) == (-3.0, 9.0)
    assert value_range(np.int16([[[-1000], [400]]])) == (-1000.0, 400.0)
    assert value_range(np.zeros((1, 1, 2), np.uint16), np.float32([[10, 90], [5, 60]])) == (5.0, 90.0)


def test_nodata_and_what_is_no_number_are_neither_black_nor_white():
    image = np.float32([[[np.nan], [np.inf], [-np.inf], [-3.0], [9.0], [1e6]]])
    valid = np.array([[True, True, True, True, True, False]])
    assert value_range(image, valid=valid) == (-3.0, 9.0)
    assert value_range(image[:, :3]) == (0.0, 1.0)
    assert value_range(image, valid=~valid & False) == (0.0, 1.0)
    assert value_range(np.int16([[[-9], [4]]]), valid=np.array([[False, True]])) == (4.0, 4.0)


def test_the_source_is_not_written_to():
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.float32)
    before = image.copy()
    recolour(image, greying(3, 0.5), CURVES["all"])
    assert np.array_equal(image, before)
