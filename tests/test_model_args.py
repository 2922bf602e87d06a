"""Values that no network, loss or run can be made with are refused in words, not by a traceback of torch's."""

from __future__ import annotations

import pytest

import intarsia
from intarsia.core import ClassSet, Pixels
from intarsia.core.errors import OptionError
from intarsia.engine.recipe import Recipe, build_network
from intarsia.losses.weighted_sum import WeightedSum
from intarsia.models.encoders.timm_encoder import TimmEncoder


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("unet", {"widths": 8}),
        ("unet", {"widths": [8]}),
        ("unet", {"dropout": 2}),
        ("pspnet", {"bins": []}),
        ("lraspp", {"width": "a"}),
    ],
)
def test_a_value_that_a_network_cannot_be_built_with(model, arguments):
    recipe = Recipe(model, ClassSet(("a", "b")), Pixels(), in_channels=3, size=(32, 32), arguments=arguments)
    with pytest.raises(OptionError, match=f"model '{model}'") as caught:
        build_network(recipe)
    assert str(arguments) in str(caught.value)


@pytest.mark.parametrize("stride", [0, 3, 7, 12])
def test_a_stride_that_is_none_is_not_taken_for_the_next_one(stride):
    with pytest.raises(OptionError, match="one of"):
        TimmEncoder("mobilenetv2_100", output_stride=stride)


def test_a_sum_is_no_term_of_itself():
    with pytest.raises(OptionError, match="the sum itself"):
        WeightedSum({"weighted_sum": 1.0})


def test_a_run_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OptionError, match="nosuch.*run folder"):
        intarsia.compare(tmp_path / "nosuch", tmp_path / "other")
