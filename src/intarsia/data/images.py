"""Image and label files as arrays, and back again whole or not at all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from intarsia.core.errors import CannotHold, LabelError, UnreadableFile
from intarsia.core.files import whole_file

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "IMAGE_SUFFIXES", "LABEL_SUFFIXES", "orientation", "read_image", "read_labels", "write_bytes", "write_exact", "write_image",
    "write_labels",
]  # fmt: skip

CV2_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
RGB: int | None = getattr(cv2, "IMREAD_COLOR_RGB", None)
"""Decoding in R, G, B order, from OpenCV 4.11 on."""
IMAGE_SUFFIXES = (*CV2_SUFFIXES, ".gif", ".jp2", ".ppm", ".pgm", ".npy")
LABEL_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".npy")
TURNED: dict[bytes, Callable[[Path], Image.Image]] = {b"\xff\xd8": JpegImageFile, b"II": TiffImageFile, b"MM": TiffImageFile}
"""The kinds that decoders turn, by their first bytes."""
ORIENTATION = 274
"""The tag of EXIF and TIFF."""
TIFF_LZW = 5
"""Named, for left to itself OpenCV 4.10 stores three channels of float32 in the lossy LogLuv."""
WRITABLE = {".png": ("uint8", "uint16"), ".tif": ("uint8", "uint16", "int16", "float32"), ".bmp": ("uint8",), ".jpg": ("uint8",)}


def read_image(path: str | os.PathLike[str]) -> NDArray[Any]:
    """(H, W, C) in the file's own dtype, channels in the order R, G, B, A; a `.npy` may hold (H, W), (H, W, C) or (D, H, W, C).

    The pages of a TIFF of several grey pages are its channels. A JPEG and a TIFF are turned upright as their orientation says,
    other kinds are taken as stored. Raises UnreadableFile for what is missing, truncated, corrupt or of an unknown kind; bytes
    damaged in the middle of a JPEG cannot be noticed.
    """
    path = Path(path)
    data = _bytes(path, IMAGE_SUFFIXES)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        image = _load_npy(path, data)
        image = image[..., None] if image.ndim == 2 else image  # (H, W) -> (H, W, 1)
        if image.ndim not in (3, 4) or image.dtype.kind not in "uif":
            raise UnreadableFile(str(path), expected="numbers (H, W, C) or (D, H, W, C)", received=f"{image.dtype} {image.shape}")
        return image
    decoded = _decode(data, suffix)
    if decoded is None and suffix not in CV2_SUFFIXES:
        decoded = _pillow(data, colours=True)
    if decoded is None:
        raise _unreadable(path)
    return decoded[..., None] if decoded.ndim == 2 else decoded  # (H, W) -> (H, W, 1)


def orientation(path: Path) -> int:
    """How `read_image` and `read_labels` turn a JPEG or a TIFF, whatever its suffix: 2 to 8 as EXIF counts, 1 for not at all."""
    try:
        with path.open("rb") as file:
            kind = TURNED.get(file.read(2))
        if kind is None:
            return 1
        with kind(path) as picture:  # Image.open would refuse a large raster
            told: Any = picture.getexif().get(ORIENTATION)
    except (OSError, ValueError, SyntaxError):
        return 1
    return int(told) if told in range(2, 9) else 1


def read_labels(path: str | os.PathLike[str]) -> NDArray[Any]:
    """(H, W) the ids a label file holds: grey values of 1 to 16 bit, or the indices (not the colours) of a palette file.

    A `.npy` of integers may be (H, W) or (D, H, W). Raises LabelError for colours, for JPEG, which blurs ids, and for what holds no
    integers; UnreadableFile for what is missing or corrupt.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg", ".webp"):
        raise LabelError(str(path), expected="ids in a lossless file such as PNG", received=suffix, hint="Lossy files blur ids.")
    data = _bytes(path, LABEL_SUFFIXES)
    labels: NDArray[Any] | None
    if suffix == ".npy":
        labels = _load_npy(path, data)
    elif data[:4] == b"\x89PNG" and len(data) > 25 and data[25] == 0:  # IHDR: plain grey, the fast way
        labels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if labels is not None and data[24] < 8:
            labels = labels // (255 // (2 ** data[24] - 1))  # decoders stretch 1, 2 and 4 bit to 0..255
    else:
        labels = _pillow(data, colours=False)
    if labels is None:
        raise _unreadable(path)
    if labels.dtype.kind not in "ui" or labels.ndim not in ((2, 3) if suffix == ".npy" else (2,)):
        kind = f"{labels.shape[-1]} channels" if labels.ndim == 3 else f"{labels.dtype} {labels.shape}"
        hint = (
            "If its colours stand for classes, open with by_colour=True and a class file that lists them."
            if labels.ndim == 3
            else ""
        )
        raise LabelError(str(path), expected="one class id per pixel (single channel)", received=kind, hint=hint)
    return labels


def write_image(path: str | os.PathLike[str], image: NDArray[Any]) -> None:
    """Write (H, W, C) as the suffix says, whole or not at all; all but `.jpg` (quality 95) are exact.

    Raises CannotHold where the kind of file has no room for the dtype or the channels; `.npy` holds anything.
    """
    path = Path(path)
    suffix = path.suffix.lower().replace(".jpeg", ".jpg").replace(".tiff", ".tif")
    if suffix == ".npy":
        write_bytes(path, _npy(image))
        return
    plain = image[..., None] if image.ndim == 2 else image
    channels = (1, 3) if suffix == ".jpg" else (1, 3, 4)
    if plain.dtype.name not in WRITABLE.get(suffix, ()) or plain.ndim != 3 or plain.shape[-1] not in channels:
        raise CannotHold(
            str(path),
            expected=f"{' or '.join(WRITABLE.get(suffix, ['a suffix among ' + ', '.join(WRITABLE)]))} with {channels} channels",
            received=f"{image.dtype} {image.shape}",
            hint="Write .npy, which holds any dtype and any number of channels.",
        )
    exact = [cv2.IMWRITE_TIFF_COMPRESSION, TIFF_LZW] if suffix == ".tif" else []
    done, data = cv2.imencode(suffix, _swapped(np.ascontiguousarray(plain)), exact)
    if not done:
        raise CannotHold(str(path), expected=f"an image that {suffix} holds", received=f"{image.dtype} {image.shape}")
    write_bytes(path, data.tobytes())


def write_exact(place: Path, image: NDArray[Any]) -> Path:
    """Write an image under a path without suffix: as PNG where that holds it, else as `.npy`; the file is returned."""
    png = image.dtype in (np.uint8, np.uint16) and image.ndim == 3 and image.shape[-1] in (1, 3, 4)
    file = place.with_name(place.name + (".png" if png else ".npy"))
    write_image(file, image)
    return file


def write_labels(path: str | os.PathLike[str], labels: NDArray[Any], palette: Sequence[tuple[int, int, int]] | None = None) -> None:
    """Write ids (H, W), or (D, H, W) as `.npy`, whole or not at all: 8 bit where they fit, else 16 (32 in `.npy`).

    With a `palette`, the colour of each id, any viewer shows a PNG of 8 bit in colours; it holds the same ids. Raises CannotHold
    for ids that the file has no room for and for lossy kinds.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_labels(f"{folder}/a.png", np.array([[0, 300]]))
    ...     read_labels(f"{folder}/a.png")
    array([[  0, 300]], dtype=uint16)
    """
    path = Path(path)
    suffix = path.suffix.lower()
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    room = 2**31 - 1 if suffix == ".npy" else 65535
    if low < 0 or high > room or suffix not in (".npy", ".png", ".tif", ".tiff") or (suffix != ".npy" and labels.ndim != 2):
        raise CannotHold(
            str(path), expected=f"ids 0..{room} of shape (H, W) in .png, .tif or .npy", received=f"{low}..{high} {labels.shape}"
        )
    if palette is not None and suffix == ".png" and high < 256:
        picture = Image.fromarray(labels.astype(np.uint8), mode="P")
        picture.putpalette([value for colour in palette for value in colour])
        buffer = BytesIO()
        picture.save(buffer, format="PNG")
        write_bytes(path, buffer.getvalue())
        return
    write_image(path, labels.astype(np.uint8 if high < 256 else np.uint16 if high < 65536 else np.int32, copy=False))


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file whole or not at all, making its folder."""
    with whole_file(Path(path)) as draft:
        draft.write_bytes(data)


def _bytes(path: Path, suffixes: tuple[str, ...]) -> bytes:
    if path.suffix.lower() not in suffixes:
        raise UnreadableFile(str(path), expected=f"a file of kind {', '.join(suffixes)}", received=path.suffix or "no suffix")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFile(str(path), expected="a readable file", received=error.strerror or str(error)) from error


def _unreadable(path: Path) -> UnreadableFile:
    return UnreadableFile(
        str(path),
        expected="a whole image file",
        received=f"a corrupt or truncated one ({path.stat().st_size} bytes)",
        hint="Copy it anew from its source, or remove it together with its label.",
    )


def _decode(data: bytes, suffix: str) -> NDArray[Any] | None:
    """The image in R, G, B order by cv2; None where it is broken or of a kind that cv2 does not know."""
    if not data or _truncated_jpeg(data):
        return None
    buffer = np.frombuffer(data, np.uint8)
    image: NDArray[Any] | None
    if data[:2] == b"\xff\xd8":
        if RGB is not None and _jpeg_channels(data) == 3:
            return cv2.imdecode(buffer, RGB)  # saves turning the channels round
        image = cv2.imdecode(buffer, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)  # IMREAD_UNCHANGED would ignore EXIF
    elif suffix in (".tif", ".tiff"):
        done, pages = cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED)
        if done and len(pages) > 1 and all(page.shape == pages[0].shape and page.ndim == 2 for page in pages):
            return np.stack(pages, axis=-1)  # C pages (H, W) -> (H, W, C)
        image = pages[0] if done and pages else None
    else:
        image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    return None if image is None else _swapped(image)


def _jpeg_channels(data: bytes) -> int:
    """The number of components that the frame header of a JPEG names (ITU-T T.81, B.2.2); 0 where it is not found."""
    place = 2
    while place + 9 < len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[place + 9]
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return 0


def _swapped(image: NDArray[Any]) -> NDArray[Any]:
    """R, G, B, A from cv2's order B, G, R, A, and back; grey as it is."""
    if image.ndim == 2 or image.shape[-1] < 3:
        return image
    if image.dtype == np.int16:  # cvtColor knows no int16
        return np.ascontiguousarray(image[..., [2, 1, 0, 3][: image.shape[-1]]])
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[-1] == 3 else cv2.COLOR_BGRA2RGBA)


def _truncated_jpeg(data: bytes) -> bool:
    """Whether the end of a JPEG is missing: some decoders then fill up with grey and say nothing."""
    if data[:2] != b"\xff\xd8" or data.rstrip(b"\0").endswith(b"\xff\xd9"):
        return False
    return _pillow(data, colours=True) is None  # cameras may append bytes after the end marker: only then decode twice


def _pillow(data: bytes, *, colours: bool) -> NDArray[Any] | None:
    """The file by Pillow, palette applied or (labels) not; None where it is broken."""
    try:
        with Image.open(BytesIO(data)) as picture:
            if colours and picture.mode in ("P", "CMYK", "YCbCr"):
                return np.asarray(picture.convert("RGB"))
            return np.asarray(picture).astype(np.uint8) if picture.mode == "1" else np.array(picture)
    except (OSError, SyntaxError, ValueError):  # Pillow's own ways to say broken
        return None


def _load_npy(path: Path, data: bytes) -> NDArray[Any]:
    try:
        loaded: NDArray[Any] = np.load(BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UnreadableFile(str(path), expected="an array saved by numpy.save", received=str(error)) from error
    return loaded


def _npy(array: NDArray[Any]) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
