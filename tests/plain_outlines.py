"""The outlines of a class in a truth with void and in a prediction, in loops that take every pixel and every piece by itself."""

from __future__ import annotations

from itertools import product

import numpy as np

OUTSIDE = "outside"


def beside(labels, place):
    """The four neighbours of a pixel, or OUTSIDE."""
    y, x = place
    for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
        yield (v, u) if 0 <= v < labels.shape[0] and 0 <= u < labels.shape[1] else OUTSIDE


def pieces_of(truth):
    """The connected pieces of void, each a set of pixels."""
    left = {place for place in product(*map(range, truth.shape)) if truth[place] < 0}
    while left:
        piece, front = set(), {left.pop()}
        while front:
            piece |= front
            front = {near for place in front for near in beside(truth, place) if near in left}
            left -= front
        yield piece


def plain_outlines(truth, guess, k, *, frame):
    """Points of the outline of class k in the truth, in the guess, and where the truth's may be."""
    pieces = list(pieces_of(truth))
    where = {place: number for number, piece in enumerate(pieces) for place in piece}

    def around(labels, piece):
        near = {other for place in piece for other in beside(truth, place)} - piece
        return {labels[other] if other != OUTSIDE else OUTSIDE for other in near if frame or other != OUTSIDE}

    in_truth = {number for number, piece in enumerate(pieces) if len(around(truth, piece)) > 1}
    in_guess = {number for number, piece in enumerate(pieces) if len(around(guess, piece)) > 1} | in_truth

    def outline(labels, parting):
        for place in product(*map(range, truth.shape)):
            if place in where or labels[place] != k:
                continue
            for other in beside(truth, place):
                if frame if other == OUTSIDE else where[other] in parting if other in where else labels[other] != k:
                    yield place
                    break

    sure, found = list(outline(truth, in_truth)), list(outline(guess, in_guess))
    touched = [piece for piece in pieces if k in around(truth, piece)]
    maybe = {place for piece in touched for place in piece}
    maybe |= {other for place in maybe for other in beside(truth, place) if other != OUTSIDE and truth[other] == k}
    return sure, found, list(maybe | set(sure))


def distances(points, others):
    """The distance from each point to the nearest of the others."""
    return np.array([min(np.hypot(y - v, x - u) for v, u in others) for y, x in points])


def ringed(inner=14, ring=3, size=(60, 80), start=(23, 33)):
    """An object with a ring of void, as PASCAL VOC draws them."""
    truth = np.zeros(size, int)
    y, x = start
    truth[y - ring : y + inner + ring, x - ring : x + inner + ring] = -1
    truth[y : y + inner, x : x + inner] = 1
    return truth


def square(top, bottom, left, right, size=(60, 80)):
    guess = np.zeros(size, int)
    guess[top:bottom, left:right] = 1
    return guess
