"""Pictures, pixel by pixel where a program may read them, and the errors of this folder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.data.coding import Coding
from intarsia.data.images import read_labels
from intarsia.data.scenes import CLASSES, scene
from intarsia.draw.as_rgb import as_rgb
from intarsia.draw.comparison import comparison, error_map
from intarsia.draw.label_map import label_map
from intarsia.draw.legend import legend
from intarsia.draw.look import batch_sheet, look, sheet
from intarsia.draw.overlay import overlay
from intarsia.draw.save import save
from intarsia.draw.show import show

STREET = ClassSet(("road", "car"), ((128, 64, 128), (0, 0, 200)), things=("car",), nothing=True)
WHITE = np.full((6, 6, 3), 200, np.uint8)
LINE = (64, 64, 255)
"""The blue of a car, lifted so that a thin line is seen: (0, 0, 200) is dark, at full strength (0, 0, 255), a quarter to white."""


def holds(picture, colour):
    return bool((picture == colour).all(axis=-1).any())


# -- as_rgb ------------------------------------------------------------------------------------------------------------------


def test_bytes_are_shown_as_they_are():
    rgba = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(as_rgb(rgba), rgba[..., :3])
    assert np.array_equal(as_rgb(rgba[..., :2]), rgba[..., :1].repeat(3, axis=-1))
    assert np.array_equal(as_rgb(rgba[..., 0]), rgba[..., :1].repeat(3, axis=-1))


def test_other_dtypes_are_stretched_between_percentiles():
    ramp = np.arange(1001, dtype=np.int16).reshape(1, -1, 1) - 500
    shown = as_rgb(ramp)[0, :, 0].astype(int)
    assert (shown[:11] == 0).all()
    assert (shown[-11:] == 255).all()
    assert shown[500] == 128
    assert (np.diff(shown) >= 0).all()
    lone = np.zeros((20, 20, 1), np.float32)
    lone[3, 4] = 7  # the percentiles see nothing of it
    assert as_rgb(lone)[3, 4].tolist() == [255, 255, 255]
    assert not as_rgb(np.full((4, 4, 1), np.nan)).any()
    broken = ramp.astype(np.float32)
    broken[0, 0] = np.inf
    assert as_rgb(broken)[0, 0, 0] == 0


def test_a_volume_shows_its_middle_slice():
    volume = np.zeros((5, 2, 2, 1), np.uint8)
    volume[2] = 9
    assert (as_rgb(volume) == 9).all()
    segments = Segments(np.stack([np.full((2, 2), z) for z in range(5)])[None], [0, 1, 0, 1])
    assert overlay(volume, segments, STREET, alpha=1)[0, 0].tolist() == [0, 0, 200]


def test_what_is_no_image_is_refused():
    with pytest.raises(InvalidNoun, match=r"image: expected numbers of shape .H, W., .* received float64 \(3,\)"):
        as_rgb(np.zeros(3))


# -- overlay -----------------------------------------------------------------------------------------------------------------


@given(hnp.arrays(np.int8, (6, 6), elements=st.integers(-1, 3)), st.floats(0, 1), st.booleans())
def test_void_is_black_and_nothing_is_untouched(ids, alpha, outlines):
    image = np.random.default_rng(0).integers(1, 255, (6, 6, 3), dtype=np.uint8)
    picture = overlay(image, Segments(ids[None], [0, 1, 1]), STREET, alpha=alpha, outlines=outlines)
    assert not picture[ids == -1].any()
    assert np.array_equal(picture[ids == 0], image[ids == 0])


def test_colours_are_blended_by_class():
    ids = np.array([[1, 1, 2], [1, 3, 3]])
    picture = overlay(WHITE[:2, :3], Segments(ids[None], [0, 1, 1]), STREET, alpha=0.25, by="class", outlines=False)
    assert np.abs(picture[0, 0].astype(int) - [182, 166, 182]).max() <= 1  # 0.25 * (128, 64, 128) + 0.75 * 200
    assert np.abs(picture[ids > 1].astype(int) - [150, 150, 200]).max() <= 1
    assert (
        np.array_equal(overlay(WHITE[:2, :3], Segments(ids[None], [0, 1, 1]), STREET, alpha=0), WHITE[:2, :3]) is False
    )  # outlines
    assert np.array_equal(overlay(WHITE[:2, :3], Segments(ids[None], [0, 1, 1]), STREET, alpha=0, outlines=False), WHITE[:2, :3])


def test_objects_of_a_class_differ_and_stuff_does_not():
    ids = np.arange(1, 41).reshape(1, 5, 8)
    rows = Segments(ids, [0, 0, *[1] * 38])
    image = np.zeros((5, 8, 3), np.uint8)
    cars = overlay(image, rows, STREET, alpha=1, outlines=False).reshape(-1, 3)[2:]
    assert cars[0].tolist() == [0, 0, 200]
    assert cars.max(axis=1).min() > 60  # none near void's black
    assert len(np.unique(overlay(image, rows, STREET, alpha=1, by="class").reshape(-1, 3), axis=0)) == 2
    roads = overlay(image, rows, STREET, alpha=1, outlines=False).reshape(-1, 3)[:2]
    assert np.array_equal(roads[0], roads[1])


def test_a_thin_stored_box_is_drawn():
    """Within one pixel, and none wide: its far edge less one lies before its near edge."""
    for box in ([5.2, 5, 5.9, 5.8], [3, 3, 3, 3]):
        thin = Segments(np.ones((1, 20, 20), int), [1], boxes=[box])
        assert holds(overlay(np.zeros((20, 20, 3), np.uint8), thin, STREET, alpha=0, outlines=False, boxes=True), LINE)


def test_outlines_lie_on_the_segment_one_pixel_wide():
    ids = np.zeros((1, 6, 6), int)
    ids[0, 1:5, 1:5] = 1
    picture = overlay(WHITE, Segments(ids, [1]), STREET, alpha=0.5)
    full = (picture == LINE).all(axis=-1)
    assert full.sum() == 12
    assert not full[2:4, 2:4].any()
    assert np.array_equal(picture[0], WHITE[0])


def test_where_layers_overlap_the_winner_of_semantic_is_seen():
    ids = np.array([[[1, 1, 0]], [[0, 2, 2]]])
    low_last = Segments(ids, [0, 1], scores=[0.9, 0.5])
    picture = overlay(WHITE[:1, :3], low_last, STREET, alpha=1, outlines=False)
    assert [tuple(pixel) for pixel in picture[0].tolist()] == [(128, 64, 128), (128, 64, 128), (0, 0, 200)]


def test_boxes_and_legend_are_legible_on_a_small_picture():
    sample = scene(0, 0)
    plain = overlay(sample.image, sample.segments, CLASSES)
    whole = overlay(sample.image, sample.segments, CLASSES, boxes=True, legend=True)
    assert plain.shape == (120, 160, 3)
    assert whole.shape[1] == 480
    assert whole.shape[0] > 360 + 20
    assert np.array_equal(overlay(sample.image, sample.segments, CLASSES, legend=True)[:360:3, ::3], plain)
    strip = whole[360:]
    for index in range(len(CLASSES)):
        assert holds(strip, CLASSES.colours[index]) == (index in sample.segments.classes)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"alpha": 1.5}, OptionError, "alpha: expected 0 to 1, received 1.5"),
        ({"by": "clas"}, OptionError, "by: expected object or class, received 'clas'. Did you mean 'class'?"),
        ({"image": WHITE[:3]}, InvalidNoun, r"segments: expected the image's size \(3, 6\), received \(6, 6\)"),
        ({"segments": Segments(np.ones((1, 6, 6), int), [5])}, InvalidNoun, "Segments classes: expected indices 0..1, received 5"),
    ],
)
def test_overlay_refuses(options, error, message):
    given_ = {"image": WHITE, "segments": Segments.empty((6, 6)), "classes": STREET} | options
    with pytest.raises(error, match=message):
        overlay(**given_)


# -- label map ---------------------------------------------------------------------------------------------------------------


@given(hnp.arrays(np.int64, (4, 5), elements=st.integers(-1, 2)), st.sampled_from([2, 254, 255, 300]))
def test_label_map_holds_the_class_ids(labels, count):
    classes = ClassSet(tuple(f"c{index}" for index in range(count)), nothing=True)
    labels = np.where(labels == 2, count, labels)  # 2 stands for nothing
    picture = label_map(Segments.from_semantic(labels, count), classes)
    ids = np.asarray(picture)
    assert picture.mode == ("P" if count <= 254 else "I;16")
    assert np.array_equal(ids[labels < count][labels[labels < count] >= 0], labels[(labels >= 0) & (labels < count)])
    assert (ids[labels == -1] == (255 if count <= 254 else 65535)).all()
    assert np.array_equal(Coding.from_classes(classes).segments(ids).semantic(count), labels)  # as the readers understand it


def test_label_map_survives_the_file_and_has_the_colours(tmp_path):
    sample = scene(0, 1)
    read = save(label_map(sample.segments, CLASSES), tmp_path / "map.png")
    semantic = sample.segments.semantic(len(CLASSES)).astype(int)
    assert np.array_equal(read_labels(read), np.where(semantic < 0, 255, semantic))
    with Image.open(read) as picture:
        shown = np.asarray(picture.convert("RGB"))
    for index, colour in enumerate(CLASSES.colours):
        assert (shown[semantic == index] == colour).all()
    assert not shown[semantic == -1].any()


def test_label_map_refuses_a_volume():
    with pytest.raises(
        InvalidNoun, match=r"label map: expected segments of size \(H, W\), received \(2, 3, 4\). Give it one slice"
    ):
        label_map(Segments.empty((2, 3, 4)), STREET)


# -- comparison --------------------------------------------------------------------------------------------------------------


def test_errors_are_marked_where_they_are():
    truth = Segments.from_semantic(np.array([[0, 0, 1, -1, 2, 2]]), 2)
    guess = Segments.from_semantic(np.array([[0, 1, 2, 0, 2, -1]]), 2)
    picture = error_map(WHITE[:1], truth, guess, STREET)[0]
    wrong = (picture == (255, 45, 85)).all(axis=-1)
    assert wrong.tolist() == [False, True, True, False, False, True]
    assert picture[3].tolist() == [0, 0, 0]
    assert picture[0].tolist() == picture[4].tolist() == [155, 155, 155]  # 200 / 4 + 105


def test_comparison_shows_the_panels_in_order():
    labels = np.zeros((90, 160), int)
    labels[:, 80:] = 1
    guess = labels.copy()
    guess[:45, :80] = 1
    truth, prediction = Segments.from_semantic(labels, 2), Segments.from_semantic(guess, 2)
    page = comparison(np.full((90, 160, 1), 50, np.uint8), truth, prediction, STREET)
    width, gap, margin = 320, 8, 10
    assert page.shape[1] == 4 * width + 3 * gap + 2 * margin
    top = margin + 24  # the titles
    middle = [page[top + 20, margin + panel * (width + gap) + 40].tolist() for panel in range(4)]
    assert middle == [[50, 50, 50], [128, 64, 128], [0, 0, 200], [255, 45, 85]]
    below = [page[top + 150, margin + panel * (width + gap) + 40].tolist() for panel in range(4)]
    assert below == [[50, 50, 50], [128, 64, 128], [128, 64, 128], [117, 117, 117]]
    assert holds(page[top + 180 :], STREET.colours[1])


def test_what_is_predicted_where_truth_is_void_is_no_error():
    labels = np.zeros((90, 160), int)
    labels[:20] = -1
    truth, elsewhere = Segments.from_semantic(labels, 2), Segments.from_semantic(np.where(labels < 0, 0, labels), 2)
    right, answered = (comparison(WHITE[0, 0, 0] + np.zeros((90, 160, 1)), truth, guess, STREET) for guess in (truth, elsewhere))
    error = slice(None), slice(10 + 3 * 328, 10 + 3 * 328 + 320)  # with its title, which names the share
    assert np.array_equal(right[error][:214], answered[error][:214])


def test_a_picture_larger_than_a_panel_keeps_its_colours_unmixed():
    labels = np.arange(2 * 2000).reshape(2, 2000) % 2
    page = comparison(np.zeros((2, 2000, 1), np.uint8), Segments.from_semantic(labels, 2), Segments.empty((2, 2000)), STREET)
    assert page.shape[1] == 4 * 640 + 3 * 8 + 20


def test_comparison_refuses_other_sizes():
    with pytest.raises(InvalidNoun, match=r"prediction: expected the image's size \(6, 6\), received \(5, 6\)"):
        comparison(WHITE, Segments.empty((6, 6)), Segments.empty((5, 6)), STREET)


# -- look, legend ------------------------------------------------------------------------------------------------------------


def test_look_shows_image_label_overlay_and_ids():
    sample = scene(0, 3)
    page = look(sample.image, sample.segments, CLASSES, title="scene_00003")
    assert page.shape[1] == 4 * 320 + 3 * 8 + 20
    for index in np.unique(sample.segments.classes):
        assert holds(page[10 + 28 + 24 + 240 :], CLASSES.colours[index])  # below the panels, with its share
    alone = look(sample.image, None, CLASSES)
    assert alone.shape[1] == 340
    both = sheet([sample, Sample(sample.image, None, "unlabelled")], CLASSES)
    assert both.shape[0] == page.shape[0] + look(sample.image, None, CLASSES, title="unlabelled").shape[0]


def test_look_draws_a_sample_that_asks_for_it(tmp_path, monkeypatch):
    sample = scene(0, 3)
    assert np.array_equal(sample.picture(), look(sample.image, sample.segments, CLASSES, title="scene_00003"))
    assert sample.save(tmp_path / "a.jpg").is_file()
    assert np.asarray(Image.open(sample.save_label_map(tmp_path / "a.png"))).max() in (*range(8), 255)
    seen = []
    monkeypatch.setattr(Image.Image, "show", lambda self: seen.append(self.size))
    sample.show()
    show(label_map(sample.segments, CLASSES))
    assert seen == [sample.picture().shape[1::-1], (160, 120)]


def test_batch_sheet_is_a_grid_with_one_legend():
    samples = [scene(0, index) for index in range(5)]
    page = batch_sheet(samples, CLASSES, columns=4)
    assert page.shape[1] == 4 * 320 + 3 * 8 + 20
    assert page.shape[0] > 4 * 240
    assert page.shape[0] < 4 * 240 + 150


@pytest.mark.parametrize("count", [1, 8, 150])
@pytest.mark.parametrize("width", [160, 480, 1300])
def test_legend_names_every_class_within_its_width(count, width):
    classes = ClassSet(tuple(f"class {index}" for index in range(count)))
    strip = legend(classes, width=width, void=True)
    assert strip.shape[1] == width
    assert all(holds(strip, colour) for colour in (*classes.colours, (0, 0, 0)))
    assert not holds(legend(classes, [0], width=width), classes.colours[-1]) or count == 1
    with pytest.raises(OptionError, match=rf"present: expected class indices 0..{count - 1}, received \[{count}\]"):
        legend(classes, [count])
