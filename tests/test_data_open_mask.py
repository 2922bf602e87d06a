"""open_mask: one label file by itself; 255 is void only where it is no class, and a wrong id names the file."""

from __future__ import annotations

import numpy as np
import pytest

from intarsia.api import open_mask
from intarsia.core.errors import LabelError
from intarsia.data.images import write_labels


def test_a_wrong_id_names_the_file(tmp_path):
    write_labels(tmp_path / "a.png", np.array([[0, 1, 7]]))
    with pytest.raises(LabelError) as caught:
        open_mask(tmp_path / "a.png", ["sky", "road"])
    assert f"{tmp_path / 'a.png'}: expected ids of the 2 classes (0..1), void (255), received 7" in str(caught.value)


def test_the_count_of_classes_is_a_wrong_id_too(tmp_path):
    write_labels(tmp_path / "a.png", np.array([[0, 1, 2]]))
    with pytest.raises(LabelError, match=r"a.png: .* received 2"):  # and not nothing-here
        open_mask(tmp_path / "a.png", ["sky", "road"])


@pytest.mark.parametrize(
    ("ids", "classes", "expected"),
    [
        ([[0, 1, 255]], ["sky", "road"], [0, 1, -1]),
        ([[0, 3, 255]], None, [0, 3, -1]),
        ([[255, 255, 255]], None, [-1, -1, -1]),
        ([[0, 255, 300]], None, [0, 255, 300]),
        ([[0, 255, 299]], [f"class{n}" for n in range(300)], [0, 255, 299]),
        ([[0, 254, 255]], [f"class{n}" for n in range(256)], [0, 254, 255]),
        ([[0, 254, 255]], [f"class{n}" for n in range(255)], [0, 254, -1]),
    ],
)
def test_255_is_void_where_it_is_no_class(ids, classes, expected, tmp_path):
    write_labels(tmp_path / "a.png", np.array(ids))
    sample = open_mask(tmp_path / "a.png", classes)
    assert sample.segments.semantic(len(sample.classes)).tolist() == [expected]


def test_ids_beyond_16_bit_are_refused_by_the_name_of_the_file(tmp_path):
    write_labels(tmp_path / "a.npy", np.array([[0, 70000]]))
    with pytest.raises(LabelError, match=r"a.npy: expected ids .* received 70000"):
        open_mask(tmp_path / "a.npy")
