"""examine: what is wrong with a folder of images and labels, and a mended copy of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from intarsia.core.catalogue import find, members
from intarsia.core.errors import OptionError
from intarsia.data.doctor._copy import check_format, check_truth, write_copy
from intarsia.data.doctor._survey import Survey, survey

if TYPE_CHECKING:
    from pathlib import Path

    from intarsia.data.doctor._finding import Check, Finding

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

    Raises OptionError for formats whose labels are not one picture for each image, for findings that only the maker of the data
    can mend, and for truth that such a folder cannot hold; nothing is written then.
    """
    every = dict(checks())
    check_format(report.survey)
    stuck: dict[str, str] = {}
    for finding in report.findings:
        check = every[finding.check]
        reason = check.hopeless(report.survey) if check.hopeless else ""
        if finding.severity == "error" and (check.mend is None or reason):
            stuck[finding.check] = reason
    if stuck:
        hint = " ".join(reason or "Do what they say first." for reason in dict.fromkeys(stuck.values()))
        raise OptionError("--fix", expected="findings that can be mended", received=", ".join(stuck), hint=hint)
    check_truth(report.survey)
    of_key: dict[str, list[Check]] = {}
    for finding in report.findings:
        check = every[finding.check]
        for key in finding.keys if check.mend is not None else ():
            of_key.setdefault(key, []).append(check)
    write_copy(report.survey, of_key, out)
