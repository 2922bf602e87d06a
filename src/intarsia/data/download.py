"""download: public data sets by name, checked, resumed where they were cut off, with their terms told."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from intarsia.core.errors import OptionError, UnreadableFile, nearest
from intarsia.data.folders import whole_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["SOURCES", "Source", "download"]

TIMEOUT = 30
"""Seconds without a byte after which a connection is given up."""
CHUNK = 1 << 20


@dataclass(frozen=True)
class Source:
    """Where a data set is, and on what terms."""

    files: Mapping[str, str]
    """Of each address the checksum, as pooch spells it, or "" where none has been published."""
    licence: str
    about: str
    root: str = "."
    """The folder of the data within the archives."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What `open_dataset` is to be told."""


PETS = "https://www.robots.ox.ac.uk/~vgg/data/pets/data"
SOURCES: dict[str, Source] = {
    "camvid": Source(
        {"https://s3.amazonaws.com/fast-ai-imagelocal/camvid.tgz": "md5:648371e4f3a833682afb39b08a3ce2aa"},
        "research use; Brostow et al. ask to be cited (PRL 2009)",
        "701 road scenes, 32 classes, in fastai's layout, 571 MiB",
        "camvid",
    ),
    "camvid_tiny": Source(
        {"https://s3.amazonaws.com/fast-ai-sample/camvid_tiny.tgz": "md5:2cf6daf91b7a2083ecfa3e9968e9d915"},
        "research use; Brostow et al. ask to be cited (PRL 2009)",
        "100 of them at an eighth of the size, 2 MiB",
        "camvid_tiny",
    ),
    "voc2012": Source(
        {"http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar": "md5:6cd6e144f989b92b3379bac3b3de84fd"},
        "Flickr terms of use for the images; Everingham et al. ask to be cited (IJCV 2010)",
        "2913 photographs with masks of 20 classes and their objects, 1.9 GiB",
        "VOCdevkit/VOC2012",
    ),
    "oxford_pets": Source(
        {
            f"{PETS}/images.tar.gz": "md5:5c4f3ee8e5d25df40f4fd59a7f44e54c",
            f"{PETS}/annotations.tar.gz": "md5:95a8c909bbe2e81eed6a22bccdf3f68f",
        },
        "CC-BY-SA-4.0",
        "7349 cats and dogs of 37 breeds as trimaps, 774 MiB",
    ),
    "pennfudan": Source(
        {"https://www.cis.upenn.edu/~jshi/ped_html/PennFudanPed.zip": ""},
        "research use; rights stay with the authors (Wang et al., ACCV 2007)",
        "170 photographs with 345 pedestrians, 51 MiB; no checksum has been published",
        "PennFudanPed",
        {"format": "mask_folder", "images": "PNGImages", "masks": "PedMasks", "rule": "{stem}_mask", "objects": "pedestrian"},
    ),
}


def download(name: str, out: Path, *, tell: Callable[[str], None] = print, sources: Mapping[str, Source] = SOURCES) -> Path:
    """The folder `out` with the data set of that name, from the cache where it is there; `tell` gets its terms before a byte is
    fetched.

    A download that was cut off goes on where it stopped. Raises OptionError for an unknown name, UnreadableFile where the address
    cannot be reached or the file is not what its checksum says or no whole archive, and CannotHold where `out` holds something.
    """
    if name not in sources:
        raise OptionError(f"data set {name!r}", expected="one that can be downloaded", hint=nearest(name, sources))
    import pooch

    source = sources[name]
    tell(f"{name}: {source.about}\nterms: {source.licence}")
    cache = Path(pooch.os_cache("intarsia"))
    with whole_folder(out) as folder:
        unpacked = folder / ".archives"
        for url, checksum in source.files.items():
            archive = _fetched(url, checksum or None, cache)
            _unpack(archive, unpacked, url)
        if not (unpacked / source.root).is_dir():
            received = ", ".join(sorted(entry.name for entry in unpacked.iterdir())[:5]) or "nothing"
            raise UnreadableFile(", ".join(source.files), expected=f"a folder {source.root} in the archive", received=received)
        for entry in (unpacked / source.root).iterdir():
            entry.rename(folder / entry.name)
        shutil.rmtree(unpacked)
    return out


def _fetched(url: str, checksum: str | None, cache: Path) -> Path:
    """The file of an address in the cache."""
    import pooch

    name = url.rpartition("/")[2]
    try:
        return Path(pooch.retrieve(url, checksum, fname=name, path=cache, downloader=_Resuming(cache / f"{name}.part")))
    except (ValueError, OSError) as error:
        raise UnreadableFile(
            url,
            expected="a whole download" + (f" with {checksum}" if checksum else ""),
            received=str(error).splitlines()[0],
            hint="Call it again: it goes on where it stopped.",
        ) from error


def _unpack(archive: Path, folder: Path, url: str) -> None:
    """What is in an archive; one that is broken is taken out of the cache, for it would be found there again."""
    options = {} if archive.suffix == ".zip" else {"filter": "data"}  # no path leads out of the folder
    try:
        shutil.unpack_archive(archive, folder, **options)  # type: ignore[arg-type]
    except (shutil.ReadError, zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        archive.unlink()
        hint = "It was deleted here: call it again, and look at the address in a browser if it stays so."
        raise UnreadableFile(url, expected="a whole archive", received=str(error) or type(error).__name__, hint=hint) from error


@dataclass(frozen=True)
class _Resuming:
    """pooch's downloader that keeps what has come, and asks for the rest."""

    part: Path

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        have = self.part.stat().st_size if self.part.exists() else 0
        try:
            with urlopen(Request(url, headers={"Range": f"bytes={have}-"} if have else {}), timeout=TIMEOUT) as response:
                again = response.status == HTTPStatus.PARTIAL_CONTENT
                expected = int(response.headers.get("Content-Length", 0)) + (have if again else 0)
                with self.part.open("ab" if again else "wb") as file:
                    while piece := response.read1(CHUNK):
                        file.write(piece)
            got = self.part.stat().st_size
            if got < expected:
                raise OSError(f"{got} of {expected} bytes")
        except HTTPError as error:
            if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # else all of it had come
                raise
        shutil.move(self.part, output_file)
