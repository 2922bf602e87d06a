"""examine: what is wrong with a folder of images and labels, and a mended copy of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from intarsia.core.catalogue import find, members
from intarsia.core.errors import OptionError
from intarsia.data.class_files import write_classes
from intarsia.data.coding import Coding
from intarsia.data.doctor._finding import Check, Finding, Part
from intarsia.data.doctor._survey import Survey, survey
from intarsia.data.doctor.colour_masks import colour_ids
from intarsia.data.folders import whole_folder
from intarsia.data.holds import inner_key
from intarsia.data.images import read_image, write_bytes, write_image, write_labels

if TYPE_CHECKING:
    from pathlib import Path

    from intarsia.data.doctor._facts import Facts

__all__ = ["Report", "examine", "mended"]

FAMILY = "data.doctor"
ORDER = ("error", "warning", "note")
SHOWN = 4
"""Files of a finding that are named in its text."""


@dataclass(frozen=True)
class Report:
    """What was found, errors first."""

    path: Path
    format: str
    images: int
    findings: tuple[Finding, ...]
    survey: Survey

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.images} images, read as {self.format} ({self.survey.why})", ""]
        for finding in self.findings:
            names = list(dict.fromkeys(finding.files))
            more = len(names) - SHOWN
            files = ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
            lines += [
                f"{finding.severity}: {finding.check}",
                f"  {finding.message}",
                f"  remedy: {finding.remedy}",
                f"  {files}",
                "",
            ]
        errors = sum(finding.severity == "error" for finding in self.findings)
        if self.sound:
            return "\n".join([*lines, "sound: nothing found that would spoil a training"])
        return "\n".join([*lines, f"not sound: {errors} error{'s' * (errors > 1)}"])

    @property
    def sound(self) -> bool:
        """Whether a training on it would be."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        read_as = {"path": str(self.path), "format": self.format, "why": self.survey.why, "images": self.images}
        return {**read_as, "sound": self.sound, "findings": [asdict(finding) for finding in self.findings]}


def examine(path: Path, *, format: str | None = None, size: tuple[int, int] | None = None, **options: Any) -> Report:
    """Looks for everything that the files of data/doctor know; `size` is that of training, `options` are those of the format.

    Raises DatasetNotFound where there is nothing that looks like data.
    """
    seen = survey(path, format=format, size=size, **options)
    found = [finding for name, check in checks() if (finding := check.find(name, seen))]
    found.sort(key=lambda finding: ORDER.index(finding.severity))
    images = sum(one.record.image is not None for one in seen.facts)
    return Report(path, seen.format, images, tuple(found), seen)


def checks() -> list[tuple[str, Check]]:
    """Every check by name."""
    return [(name, find(FAMILY, name)) for name in members(FAMILY)]


def mended(report: Report, out: Path) -> None:
    """Writes a copy without what was found and can be mended: `images/SPLIT/`, `masks/SPLIT/` and a class file; untouched files
    are copied byte by byte, and nothing of the original is changed.

    Raises OptionError for formats whose labels are not one picture for each image, and for findings that only the maker of the data
    can mend.
    """
    if report.format not in ("mask_folder", "camvid", "voc", "image_folder", "oxford_pet", "ade20k"):
        raise OptionError("--fix", expected="a data set with a mask file for each image", received=report.format)
    every = dict(checks())
    hopeless = [one.check for one in report.findings if one.severity == "error" and every[one.check].mend is None]
    if hopeless:
        raise OptionError(
            "--fix", expected="findings that can be mended", received=", ".join(hopeless), hint="Do what they say first."
        )
    of_key: dict[str, list[Check]] = {}
    for finding in report.findings:
        check = every[finding.check]
        if check.mend is not None:
            for key in finding.keys:
                of_key.setdefault(key, []).append(check)
    coding = _coding(report.survey)
    with whole_folder(out) as folder:
        for one in report.survey.facts:
            _copy(one, of_key.get(one.record.key, []), report.survey, folder)
        write_bytes(folder / "classes.json", write_classes(coding, objects=report.survey.objects))


def _copy(one: Facts, some: list[Check], seen: Survey, folder: Path) -> None:
    record = one.record
    if record.image is None or (one.image and one.image.error) or (one.label and one.label.error):
        return
    place = f"{record.split}/{inner_key(record)}" if record.split else inner_key(record)
    if not some:
        write_bytes(folder / "images" / f"{place}{record.image.suffix}", record.image.read_bytes())
        if record.label is not None:
            write_bytes(folder / "masks" / f"{place}{record.label.suffix}", record.label.read_bytes())
        return
    part = Part(one, _stored(record.image), None if record.label is None else _values(record.label))
    for check in some:
        if check.mend is not None and part.kept:
            check.mend(part, seen)
    if part.kept:
        write_image(folder / "images" / f"{place}.png", part.image)
        if part.labels is not None:
            write_labels(folder / "masks" / f"{place}.png", part.labels)


def _stored(path: Path) -> Any:
    """(H, W, C) as the file has it, EXIF orientation not applied."""
    if path.suffix.lower() in (".jpg", ".jpeg"):
        with Image.open(path) as picture:
            pixels = np.array(picture)
        return pixels[..., None] if pixels.ndim == 2 else pixels
    return read_image(path)


def _values(path: Path) -> Any:
    """The values of a label file: of a palette the indices."""
    if path.suffix.lower() == ".npy":
        return np.load(path, allow_pickle=False)
    with Image.open(path) as picture:
        return np.array(picture)


def _coding(seen: Survey) -> Coding:
    """What the ids of the copy mean."""
    if seen.coding is not None:
        return seen.coding
    if seen.classes is not None:
        return Coding.from_classes(seen.classes)
    colours = colour_ids(seen)
    values = sorted(set(colours.values()) or set(seen.counts))
    return Coding.from_names([f"class {value}" for value in values], ids=values).with_void(None)
