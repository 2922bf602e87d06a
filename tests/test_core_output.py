"""Outputs are refused when made of arrays that contradict each other, in numpy and torch; placeholders pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils import _pytree as pytree

import intarsia.models  # noqa: F401  (registers the outputs)
from intarsia.core import Dense, Queries, Regions
from intarsia.core.errors import InvalidNoun

ZEROS = [np.zeros, torch.zeros]


def queries(zeros, **other):
    """B 2, Q 5, C 3, K 4, on a plane."""
    fields = {"classes": zeros((2, 5, 4)), "coefficients": zeros((2, 5, 4)), "prototypes": zeros((2, 4, 6, 7))}
    return Queries(**fields | {name: zeros(shape) for name, shape in other.items()})


def regions(zeros, **other):
    """Two images, of 3 and of no objects."""
    fields = {
        "boxes": (zeros((3, 4)), zeros((0, 4))),
        "classes": (zeros((3,)), zeros((0,))),
        "scores": (zeros((3,)), zeros((0,))),
        "masks": (zeros((3, 14, 14)), zeros((0, 14, 14))),
    }
    return Regions(**fields | {name: tuple(map(zeros, shapes)) for name, shapes in other.items()})


@pytest.mark.parametrize("zeros", ZEROS)
def test_what_agrees_is_taken(zeros):
    Dense(zeros((2, 3, 6, 7)), centre=zeros((2, 1, 6, 7)), offset=zeros((2, 2, 6, 7)))
    Dense(zeros((2, 3, 5, 6, 7)), centre=zeros((2, 1, 5, 6, 7)), offset=zeros((2, 3, 5, 6, 7)))
    queries(zeros, boxes=(2, 5, 4), priors=(5, 4))
    queries(zeros, prototypes=(2, 4, 5, 6, 7), boxes=(2, 5, 6))
    regions(zeros)
    regions(zeros, masks=())
    Regions(losses={"boxes": zeros(())})


@pytest.mark.parametrize("zeros", ZEROS)
@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda zeros: Dense(zeros((3, 6, 7))), r"Dense logits: expected \(B, C, \*s\), received \(3, 6, 7\)"),
        (
            lambda zeros: Dense(zeros((2, 3, 6, 7)), centre=zeros((2, 2, 6, 7))),
            r"Dense centre: expected \(B, 1, \*s\) where B 2, \*s \(6, 7\), received \(2, 2, 6, 7\)",
        ),
        (lambda zeros: Dense(zeros((2, 3, 6, 7)), centre=zeros((2, 1, 7, 6))), r"received \(2, 1, 7, 6\)"),
        (
            lambda zeros: Dense(zeros((2, 3, 6, 7)), offset=zeros((2, 3, 6, 7))),
            r"Dense offset: expected \(B, d, \*s\) where B 2, d 2, \*s \(6, 7\), received \(2, 3, 6, 7\)",
        ),
        (
            lambda zeros: queries(zeros, coefficients=(2, 6, 4)),
            r"Queries coefficients: expected \(B, Q, K\) where B 2, Q 5, received \(2, 6, 4\)",
        ),
        (lambda zeros: queries(zeros, prototypes=(2, 3, 6, 7)), r"Queries prototypes: .* K 4, received \(2, 3, 6, 7\)"),
        (lambda zeros: queries(zeros, boxes=(2, 5, 6)), r"Queries boxes: .* 2d 4, received \(2, 5, 6\)"),
        (lambda zeros: queries(zeros, priors=(4, 4)), r"Queries priors: .* received \(4, 4\)"),
        (lambda zeros: regions(zeros, scores=((3,),)), r"Regions: expected .* of 2 images, or none, received \[2, 2, 1, 2\]"),
        (
            lambda zeros: regions(zeros, classes=((3,), (1,))),
            r"Regions image 1 classes: expected \(N\) where N 0, received \(1,\)",
        ),
        (lambda zeros: regions(zeros, masks=((3, 14, 13), (0, 14, 14))), r"Regions image 0 masks: .* received \(3, 14, 13\)"),
        (lambda zeros: regions(zeros, boxes=((3, 6), (0, 4))), r"Regions image 0 boxes: .* received \(3, 6\)"),
    ],
)
def test_what_contradicts_is_refused(zeros, build, text):
    with pytest.raises(InvalidNoun, match=text):
        build(zeros)


@pytest.mark.parametrize("output", [Dense(torch.zeros(1, 2, 3, 4)), queries(torch.zeros), regions(torch.zeros)])
def test_a_pytree_of_placeholders_is_built(output):
    leaves, spec = pytree.tree_flatten(output)
    for placeholder in (None, object(), "a name", 0.5):
        built = pytree.tree_unflatten([placeholder] * len(leaves), spec)
        assert type(built) is type(output)
    assert pytree.tree_map_only(torch.Tensor, lambda leaf: leaf.numpy(), output) is not output


@pytest.mark.parametrize("strict", [False, True])
def test_it_is_checked_within_an_export(strict):
    class Double(torch.nn.Module):
        def forward(self, x):
            return Dense(2 * x, centre=x[:, :1])

    images = torch.ones(2, 3, 4, 5)
    exported = torch.export.export(Double(), (images,), strict=strict, dynamic_shapes=({0: torch.export.Dim("B", min=2, max=64)},))
    assert exported.module()(torch.ones(7, 3, 4, 5)).logits.shape == (7, 3, 4, 5)
