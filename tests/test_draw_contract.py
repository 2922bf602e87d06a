"""What every picture must be: found by the folder listing, so a new file is under this contract at once.

The names of a function's parameters say what it is given: image, segments, truth, prediction, classes, matrix, bins, rows, path ...
"""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from intarsia.core import ClassSet, Segments
from intarsia.core.catalogue import find, members

CLASSES = ClassSet(("sky", "road", "car", "person"), things=("car", "person"), nothing=True)
PICTURES = [name for name in members("draw") if name not in ("save", "show")]


def objects(size, seed=0, layers=1):
    """Blocks of stuff and things, some nothing and some void; a second layer overlaps the first."""
    rng = np.random.default_rng(seed)
    shape = (*size[:-2], -(-size[-2] // 8), -(-size[-1] // 8))
    ids = rng.integers(-1, 7, (layers, *shape)).repeat(8, axis=-2).repeat(8, axis=-1)[..., : size[-2], : size[-1]]
    ids[1:] = np.maximum(ids[1:], 0)
    return Segments(ids, [0, 1, 2, 2, 3, 3], scores=rng.random(6))


def case(size, channels, dtype, layers=1):
    rng = np.random.default_rng(3)
    image = (rng.random((*size, channels)) * (1000 if dtype != np.uint8 else 255)).astype(dtype)
    return {"image": image, "segments": objects(size, 0, layers), "prediction": objects(size, 1)}


CASES = {
    "small": case((120, 160), 3, np.uint8),
    "camvid": case((360, 480), 3, np.uint8),
    "grey 16 bit": case((97, 61), 1, np.uint16),
    "seven bands": case((40, 52), 7, np.float32),
    "overlapping": case((64, 64), 3, np.uint8, layers=3),
    "wide": case((20, 1500), 3, np.uint8),
    "signed": case((33, 33), 2, np.int16),
    "all void": {"image": np.ones((9, 9, 1), np.uint8), "segments": Segments(-np.ones((1, 9, 9), int), [2])},
    "empty": {"image": np.ones((9, 9, 1), np.uint8), "segments": Segments.empty((9, 9))},
    "volume": case((5, 30, 40), 1, np.int16),
}


def drawn(name, case, **options):
    """The member's answer to the case, from the arguments its parameters name; the inputs must stay as they were."""
    given = {"truth": case["segments"], "prediction": case["segments"], "classes": CLASSES} | case
    given["bins"] = np.array([[10.0, 0.4, 0.2], [0, np.nan, np.nan], [90, 0.7, 0.9]])
    given["matrix"] = np.arange(30).reshape(5, 6)
    given["rows"] = [{"epoch": epoch, "loss": 1 / epoch, "val_mean_iou": epoch / 9, "lr": 0.1} for epoch in (1, 2, 3)]
    function = find("draw", name)
    wanted = [
        parameter.name for parameter in inspect.signature(function).parameters.values() if parameter.default is parameter.empty
    ]
    before = given["image"].copy(), given["segments"].ids.copy()
    picture = function(**{parameter: given[parameter] for parameter in wanted}, **options)
    assert np.array_equal(before[0], given["image"], equal_nan=given["image"].dtype.kind == "f")
    assert np.array_equal(before[1], given["segments"].ids)
    return picture


def of_an_image(name):
    """Whether the picture depends on the case; charts do not."""
    return bool({"image", "segments"} & set(inspect.signature(find("draw", name)).parameters))


PAIRS = [(name, case) for name in PICTURES for case in (CASES if of_an_image(name) else ["small"])]
PAIRS.remove(("label_map", "volume"))  # which no picture file holds; see test_draw


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_is_a_picture(name, case):
    picture = drawn(name, CASES[case])
    if isinstance(picture, Image.Image):
        assert picture.size == CASES[case]["segments"].size[::-1]
        picture = np.asarray(picture.convert("RGB"))
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[-1] == 3
    assert picture.flags["C_CONTIGUOUS"]
    again = drawn(name, CASES[case])
    again = np.asarray(again.convert("RGB")) if isinstance(again, Image.Image) else again
    assert np.array_equal(picture, again)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("name", "options"), [("comparison", {"objects": True}), ("overlay", {"boxes": True, "legend": True, "counts": True})]
)
def test_is_a_picture_of_objects(name, options, case):
    picture = drawn(name, CASES[case], **options)
    assert (picture.dtype, picture.ndim, picture.flags["C_CONTIGUOUS"]) == (np.uint8, 3, True)
    assert np.array_equal(picture, drawn(name, CASES[case], **options))


@pytest.mark.parametrize("name", PICTURES)
def test_is_saved_and_read_back(name, tmp_path):
    picture = drawn(name, CASES["small"])
    path = find("draw", "save")(picture, tmp_path / "new" / "picture.png")
    assert path == tmp_path / "new" / "picture.png"
    with Image.open(path) as read:
        assert np.array_equal(np.asarray(read), np.asarray(picture))


@pytest.mark.parametrize("name", PICTURES)
def test_is_described(name):
    assert "(H" in inspect.getdoc(find("draw", name))


def test_importing_all_loads_neither_torch_nor_matplotlib():
    """Evaluation imports the pictures before its first file; matplotlib alone would take half a second."""
    code = "import sys; from intarsia.core.catalogue import find, members; [find('draw', name) for name in members('draw')]"
    check = "; print([name for name in ('torch', 'matplotlib', 'scipy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
