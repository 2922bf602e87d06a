"""Image and label files: what is read is what was stored, and what is broken says so."""

from __future__ import annotations

import os
import re
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from _trees import picture, write_jpeg
from intarsia.core.errors import CannotHold, LabelError, UnreadableFile
from intarsia.data.images import read_image, read_labels, write_image, write_labels


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 4, 9])
def test_images_come_back_exactly_or_are_refused(suffix, dtype, channels, tmp_path):
    image = picture(0, channels=channels, dtype=dtype)
    path = tmp_path / f"image{suffix}"
    room = {".png": dtype in ("uint8", "uint16") and channels < 9, ".tif": channels < 9, ".npy": True}[suffix]
    if not room:
        with pytest.raises(CannotHold, match=r"Write \.npy"):
            write_image(path, image)
        assert not list(tmp_path.iterdir())
        return
    write_image(path, image)
    back = read_image(path)
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize("suffix", [".tif", ".tiff"])
def test_the_compression_of_a_tiff_is_not_left_to_the_version_of_opencv(suffix, tmp_path, monkeypatch):
    asked = []
    encode = cv2.imencode
    monkeypatch.setattr(cv2, "imencode", lambda *given: asked.append(given[2:]) or encode(*given))
    write_image(tmp_path / f"a{suffix}", picture(0, dtype="float32"))
    assert asked == [([cv2.IMWRITE_TIFF_COMPRESSION, 5],)]  # 5 is LZW; OpenCV 4.10 would take the lossy LogLuv


def test_channels_are_red_green_blue_as_pillow_sees_them(tmp_path):
    image = picture(1)
    write_image(tmp_path / "a.png", image)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), image)
    Image.fromarray(picture(2, channels=4), "RGBA").save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), picture(2, channels=4))


def test_grey_pages_of_a_tiff_are_channels(tmp_path):
    bands = picture(3, channels=6, dtype="uint16")
    pages = [Image.fromarray(np.ascontiguousarray(bands[..., band])) for band in range(6)]
    pages[0].save(tmp_path / "bands.tif", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(read_image(tmp_path / "bands.tif"), bands)


def test_palette_and_gif_images_are_colours(tmp_path):
    indexed = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    indexed.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    for name in ("a.png", "a.gif"):
        indexed.save(tmp_path / name)
        assert read_image(tmp_path / name).tolist()[1] == [[70, 80, 90], [40, 50, 60]]


def test_a_jpeg_is_turned_upright(tmp_path):
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, :16] = 255  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees to see it upright
    Image.fromarray(image).save(tmp_path / "a.jpg", exif=exif, quality=95)
    upright = read_image(tmp_path / "a.jpg")
    assert upright.shape == (32, 16, 3)
    assert upright[:12].min() > 200
    assert upright[20:].max() < 60


def test_a_grey_jpeg_has_one_channel(tmp_path):
    assert read_image(write_jpeg(tmp_path / "a.jpg", picture(0, channels=1))).shape == (12, 16, 1)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7, 0.95, 0.995])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp"])
def test_a_truncated_file_is_an_error_with_its_name(suffix, keep, tmp_path):
    data = cv2.imencode(suffix, cv2.resize(picture(0), (160, 120)))[1].tobytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(UnreadableFile) as caught:
        read_image(path)
    assert f"{path}: expected a whole image file, received a corrupt or truncated one" in str(caught.value)
    assert "Copy it anew" in str(caught.value)


def test_bytes_after_the_end_of_a_jpeg_are_no_error(tmp_path):
    path = write_jpeg(tmp_path / "a.jpg", picture(0))
    path.write_bytes(path.read_bytes() + b"maker's notes")
    assert read_image(path).shape == (12, 16, 3)


def test_a_truncated_jpeg_that_the_decoder_fills_with_grey_is_noticed(tmp_path, monkeypatch):
    path = write_jpeg(tmp_path / "a.jpg", cv2.resize(picture(0), (160, 120)), keep=0.6)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: np.full((120, 160, 3), 128, np.uint8))  # as OpenCV 4 does
    with pytest.raises(UnreadableFile, match="truncated"):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "content", "received"),
    [
        ("notes.txt", b"hello", r"\.txt"),
        ("a.jpg", b"not a picture", "corrupt"),
        ("a.npy", b"\x93NUMPY junk", ""),
        ("gone.png", None, "No such file"),
    ],
)
def test_what_is_no_image_is_an_error(name, content, received, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableFile, match=f"{re.escape(name)}.*{received}"):
        read_image(tmp_path / name)


def test_objects_in_npy_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableFile, match="numpy.save"):
        read_image(tmp_path / "a.npy")


# -- labels ------------------------------------------------------------------------------------------------------------------------


def test_palette_labels_are_indices(tmp_path):
    ids = np.array([[0, 1, 2], [255, 2, 1]], np.uint8)
    indexed = Image.fromarray(ids)
    indexed.putpalette([value for n in range(256) for value in ((n * 7) % 256, (n * 3) % 256, 255 - n)])
    for suffix in ("png", "tif", "bmp"):
        indexed.save(tmp_path / f"a.{suffix}")
        np.testing.assert_array_equal(read_labels(tmp_path / f"a.{suffix}"), ids)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_labels_of_few_bits_are_not_stretched(bits, tmp_path):
    ids = np.arange(16, dtype=np.uint8).reshape(2, 8) % 2**bits
    width = 8 * bits // 8
    packed = np.packbits(((ids[..., None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(2, -1).astype(np.uint8), axis=1)[:, :width]
    (tmp_path / "a.png").write_bytes(_png(packed, 8, 2, bits))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), ids)


def _png(packed: np.ndarray, width: int, height: int, bits: int) -> bytes:
    """A grey PNG of few bits, from its specification: signature, IHDR, IDAT, IEND."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("suffix", "top"), [(".png", 255), (".png", 65535), (".tif", 65535), (".npy", 70000)])
def test_labels_come_back(suffix, top, tmp_path):
    ids = np.linspace(0, top, 30).astype(np.int32).reshape(5, 6)
    write_labels(tmp_path / f"a{suffix}", ids)
    np.testing.assert_array_equal(read_labels(tmp_path / f"a{suffix}"), ids)


@pytest.mark.parametrize(("name", "ids"), [("a.png", [[70000]]), ("a.png", [[-1]]), ("a.jpg", [[1]]), ("a.png", [[[1]]])])
def test_labels_that_a_file_has_no_room_for_are_refused(name, ids, tmp_path):
    with pytest.raises(CannotHold, match="expected ids 0..65535"):
        write_labels(tmp_path / name, np.array(ids))
    assert not list(tmp_path.iterdir())


def test_colours_where_ids_are_expected(tmp_path):
    for channels in (3, 4):
        write_image(tmp_path / "a.png", picture(0, channels=channels))
        with pytest.raises(LabelError) as caught:
            read_labels(tmp_path / "a.png")
        assert f"a.png: expected one class id per pixel (single channel), received {channels} channels" in str(caught.value)
        assert "by_colour=True" in str(caught.value)


def test_a_jpeg_mask_is_refused(tmp_path):
    with pytest.raises(LabelError, match="Lossy files blur ids"):
        read_labels(write_jpeg(tmp_path / "a.jpg", picture(0, channels=1)))


def test_a_float_mask_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    with pytest.raises(LabelError, match="float64"):
        read_labels(tmp_path / "a.npy")


# -- whole or not at all -----------------------------------------------------------------------------------------------------------


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", picture(0))

    def killed(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", killed)  # the last step, by which a draft takes the name
    with pytest.raises(OSError, match="disk full"):
        write_image(tmp_path / "a.png", picture(1))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), picture(0))


def test_written_files_have_the_usual_permissions(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", None)  # set, even for a moment, it would hold for the files of all threads
    write_image(tmp_path / "a.png", picture(0))
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_cmyk_is_read_as_colours(tmp_path):
    buffer = BytesIO()
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).convert("CMYK").save(buffer, "JPEG", quality=95)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    image = read_image(tmp_path / "a.jpg")
    assert image.shape == (8, 8, 3)
    assert abs(int(image.mean()) - 200) < 4
