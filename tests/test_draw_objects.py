"""Pictures of objects: colours that tell them apart, lines, names, counts, and which were found."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import ImageDraw

from intarsia.core import ClassSet, Segments
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.data.scenes import CLASSES, scene
from intarsia.draw._colours import lifted, row_colours
from intarsia.draw._found import found
from intarsia.draw.comparison import FALSE, FOUND, MISSED, STUFF, comparison
from intarsia.draw.label_map import label_map
from intarsia.draw.overlay import overlay

STREET = ClassSet(("road", "car"), ((128, 64, 128), (0, 0, 200)), things=("car",), nothing=True)


@pytest.fixture
def written(monkeypatch):
    """What is written into the pictures of a test, which stay without text."""
    texts = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda pen, place, text, **options: texts.append(text))
    return texts


def holds(picture, colour):
    return bool((picture == colour).all(axis=-1).any())


# -- colours ----------------------------------------------------------------------------------------------------------------


THINGS = {
    "one class": ClassSet(("cell",), nothing=True, things=("cell",)),
    "one of two": ClassSet(("background", "cell"), things=("cell",)),
    "one of many": ClassSet(tuple("abcdefgh"), things=("h",), colours=((9, 9, 9), *[(128, 64, 0)] * 6, (64, 64, 64))),
}


@pytest.mark.parametrize("kind", THINGS)
def test_objects_that_touch_are_told_apart(kind):
    """A hundred blocks of random sizes, side by side and corner to corner; a neighbour is never of a colour much alike."""
    rng = np.random.default_rng(0)
    ids = rng.permutation(100).reshape(10, 10) + 1
    ids = ids.repeat(rng.integers(2, 9, 10), axis=0).repeat(rng.integers(2, 9, 10), axis=1)
    classes = THINGS[kind]
    segments = Segments(ids[None], [len(classes) - 1] * 100)
    table = row_colours(segments, classes)[:-2]
    lab = cv2.cvtColor(table[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    steps = {"below": (ids[1:], ids[:-1]), "beside": (ids[:, 1:], ids[:, :-1]), "corner": (ids[1:, 1:], ids[:-1, :-1])}
    for one, other in steps.values():
        meet = one != other
        gaps = np.linalg.norm(lab[one[meet] - 1] - lab[other[meet] - 1], axis=-1)
        assert gaps.min() > (30 if len(classes) <= 2 else 10)  # CIE76: 2.3 is just noticeable


def test_a_thousand_that_meet_in_one_place_all_differ():
    """Overlapping layers too: all boxes are one box, and there are more objects than a class has ready colours."""
    ids = np.arange(1, 201).reshape(50, 4, 1).repeat(4, axis=2)  # (L, H, W), each row of pixels an object
    table = row_colours(Segments(ids, [0] * 200), THINGS["one class"])[:-2]
    near = [table[row::4] for row in range(4)]  # those of one place
    assert all(len(np.unique(colours, axis=0)) == 50 for colours in near)


def test_colours_that_are_given_stay_and_are_kept_from_the_neighbours():
    segments = Segments([[[1, 2, 3]]], [1, 1, 1])
    table = row_colours(segments, STREET, given={1: np.uint8([0, 0, 200])})
    assert table[1].tolist() == [0, 0, 200]
    assert len(np.unique(table[:3], axis=0)) == 3


# -- lines, names, counts ---------------------------------------------------------------------------------------------------


def test_two_that_touch_and_the_hidden_one_have_an_outline():
    """Of one class, side by side: the line between them is on the later one. One that lies beneath is drawn over the other."""
    ids = np.zeros((2, 8, 12), int)
    ids[0, 1:7, 1:6], ids[0, 1:7, 6:11] = 1, 2
    ids[1, 2:6, 2:5] = 3
    segments = Segments(ids, [1, 1, 1], scores=[0.9, 0.8, 0.7])
    table = row_colours(segments, STREET)
    picture = overlay(np.zeros((8, 12, 3), np.uint8), segments, STREET, alpha=0)
    lines = lifted(table[:3])
    assert (picture[2:6, 6] == lines[1]).all()
    assert not picture[3, 5].any()
    assert (picture[[2, 2, 5, 3], [2, 4, 3, 2]] == lines[2]).all()
    assert not picture[3, 3].any()  # within both
    assert (picture[1, 1:6] == lines[0]).all()


def test_names_do_not_lie_on_each_other_and_the_surest_come_first(written, monkeypatch):
    """Three boxes almost in one place, in a corner of the picture: there is room for some names, and never for that of the last."""
    size, count = (120, 160), 12
    boxes = np.float32([[4 + step, 2 + step, 40 + step, 24 + step] for step in range(count)])
    ids = np.zeros((1, *size), int)
    ids[0, 30:50, 60:100].flat[:count] = np.arange(1, count + 1)
    scores = np.linspace(0.5, 0.95, count).astype(np.float32)
    segments = Segments(ids, [1] * count, boxes=boxes, scores=scores)
    taken = []
    original = ImageDraw.ImageDraw.rectangle

    def kept(pen, corners, fill=None, outline=None, width=1):
        if fill is not None:
            taken.append(corners)
        original(pen, corners, fill, outline, width)

    monkeypatch.setattr(ImageDraw.ImageDraw, "rectangle", kept)
    overlay(np.zeros((*size, 3), np.uint8), segments, STREET, boxes=True)
    assert written[0] == "car 0.95"
    assert 1 < len(written) < count
    for one in taken:
        assert 0 <= one[0] < one[2] < size[1]
        assert 0 <= one[1] < one[3] < size[0]
        apart = [other for other in taken if one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]]
        assert len(apart) == len(taken) - 1


@pytest.mark.parametrize(("count", "named"), [(40, True), (41, False)])
def test_a_crowded_picture_has_boxes_without_names(count, named, written):
    ids = np.zeros((100, 400), int)
    for number in range(count):
        ids[10 + number // 20 * 40 : 14 + number // 20 * 40, number % 20 * 20 : number % 20 * 20 + 4] = number + 1
    overlay(np.zeros((100, 400, 3), np.uint8), Segments(ids[None], [1] * count), STREET, boxes=True)
    assert bool(written) == named
    assert set(written) <= {"car"}


@pytest.mark.parametrize(
    ("classes", "counts", "said"),
    [
        ([0, 1, 1, 1], None, ["road", "car  2 and a crowd"]),
        ([0, 1, 1, 1], False, ["road", "car"]),
        ([0, 1], None, ["road", "car"]),  # might be a class for each pixel
        ([0, 1], True, ["road", "car  1"]),
    ],
)
def test_the_legend_counts_things(classes, counts, said, written):
    ids = np.arange(6).reshape(1, 1, 6) % (len(classes) + 1)
    segments = Segments(ids, classes, crowd=[False, False, False, True][: len(classes)])
    overlay(np.full((1, 6, 3), 200, np.uint8), segments, STREET, legend=True, counts=counts)
    assert written == said


def test_a_map_of_objects_numbers_them():
    ids = np.array([[[1, 1, 0, -1]], [[0, 2, 2, 0]]])
    picture = label_map(Segments(ids, [1, 0], scores=[0.5, 0.9]), STREET, by="object")
    assert (picture.mode, np.asarray(picture).tolist()) == ("I;16", [[1, 2, 2, 65535]])
    many = Segments(np.zeros((1, 2, 2), np.int32), np.zeros(65535, int))
    with pytest.raises(InvalidNoun, match="label map: expected at most 65534 objects, received 65535"):
        label_map(many, STREET, by="object")
    with pytest.raises(OptionError, match="by: expected object or class, received 'objects'. Did you mean 'object'?"):
        label_map(many, STREET, by="objects")


# -- comparison -------------------------------------------------------------------------------------------------------------


def blocks(*windows, size=(20, 40), classes=None, **vectors):
    """A layer for each window (top, bottom, left, right), of cars unless told."""
    ids = np.zeros((len(windows), *size), int)
    for row, (top, bottom, left, right) in enumerate(windows):
        ids[row, top:bottom, left:right] = row + 1
    return Segments(ids, [1] * len(windows) if classes is None else classes, **vectors)


def test_objects_are_matched_once_and_the_surest_first():
    """Ten pixels high: an overlap of 7 columns of 13 is more than half, of 8 of 16 is not."""
    truth = blocks((0, 10, 0, 10), (0, 10, 20, 32))
    guess = blocks((0, 10, 3, 13), (0, 10, 1, 11), (0, 10, 24, 36), scores=[0.9, 0.6, 0.5])
    match = found(truth, guess, STREET)
    assert match.partner.tolist() == [0, -1]
    assert (match.missed.tolist(), match.false.tolist()) == ([False, True], [False, True, True])


def test_another_class_is_no_find_and_void_and_crowds_excuse():
    truth = blocks((0, 10, 0, 10), (0, 10, 12, 30), classes=[1, 1], crowd=[False, True])
    truth = truth.with_ids(np.where((np.arange(40) >= 30) & (np.arange(2)[:, None, None] == 0), -1, truth.ids))
    people = ClassSet((*STREET.names, "person"), things=("car", "person"))
    guess = blocks((0, 10, 0, 10), (0, 10, 14, 18), (0, 10, 30, 38), (12, 16, 0, 6), (0, 4, 14, 18), classes=[2, 1, 1, 0, 2])
    match = found(truth, guess, people)
    assert np.flatnonzero(match.missed).tolist() == [0]  # not the crowd
    assert np.flatnonzero(match.false).tolist() == [0, 4]  # a person is not excused by a crowd of cars; stuff is not asked
    empty = found(Segments.empty((20, 40)), guess, people)
    assert empty.false.sum() == 4
    assert found(guess, Segments.empty((20, 40)), people).missed.sum() == 4


def test_the_error_panel_shows_found_missed_and_false_objects():
    truth = blocks((10, 40, 10, 40), (10, 40, 60, 90), size=(90, 160))
    guess = blocks((10, 40, 62, 92), (50, 80, 100, 130), size=(90, 160), scores=[0.9, 0.8])
    image = np.full((90, 160, 1), 50, np.uint8)
    page = comparison(image, truth, guess, STREET, objects=True)
    width, gap, margin = 320, 8, 10
    top = margin + 24
    assert page.shape[1] == 4 * width + 3 * gap + 2 * margin

    def at(panel, y, x):
        return page[top + 2 * y, margin + panel * (width + gap) + 2 * x].astype(int)

    grey = 117  # 50 / 4 + 105
    assert at(3, 5, 5).tolist() == [grey] * 3
    for (y, x), colour, alpha in (((25, 75), FOUND, 0.4), ((25, 25), MISSED, 0.65), ((65, 115), FALSE, 0.65)):
        assert np.abs(at(3, y, x) - (alpha * np.array(colour) + (1 - alpha) * grey)).max() <= 1
    assert at(3, 10, 25).tolist() == list(MISSED)  # its edge
    assert at(3, 50, 115).tolist() == list(FALSE)
    assert np.array_equal(at(1, 25, 75), at(2, 25, 75))  # the answer has the colour of what it found, the second of the truth
    assert not np.array_equal(at(1, 25, 75), at(1, 25, 25))
    assert all(holds(page[top + 180 :], colour) for colour in (FOUND, MISSED, FALSE, STREET.colours[1]))
    assert not holds(page, STUFF)  # none is predicted


def test_the_title_of_the_error_panel_counts(written):
    truth, guess = blocks((0, 9, 0, 9), (0, 9, 10, 19)), blocks((0, 9, 0, 9), (11, 19, 0, 9), (11, 19, 10, 19))
    comparison(np.zeros((20, 40, 1), np.uint8), truth, guess, STREET, objects=True)
    assert "objects: 1 found, 1 missed, 2 false" in written
    assert "car  2, predicted 3" in written


def test_stuff_of_the_wrong_class_is_marked_where_stuff_is_predicted():
    labels = np.zeros((90, 160), int)
    labels[:, 80:] = 1
    two = ClassSet(("road", "grass", "car"), things=("car",), nothing=True)
    truth = Segments.from_semantic(labels, 3)
    page = comparison(np.zeros((90, 160, 1), np.uint8), truth, Segments.from_semantic(labels * 0, 3), two, objects=True)
    tint = (0.8 * np.array(STUFF) + 0.2 * 105).round()
    assert holds(page, tint)
    assert holds(page, STUFF)  # in the key
    none = comparison(np.zeros((90, 160, 1), np.uint8), truth, Segments.empty((90, 160)), two, objects=True)
    assert holds(none, two.colours[0])  # the true stuff is shown where nothing is answered


def test_a_semantic_comparison_is_as_it_was():
    sample = scene(0, 3)
    page = comparison(sample.image, sample.segments, sample.segments, CLASSES)
    assert not holds(page[:-40], STUFF)
    assert page.shape[0] < 24 + 240 + 20 + 60
