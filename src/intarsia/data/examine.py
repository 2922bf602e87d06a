"""examine: what is wrong with a folder of images and labels, and a mended copy of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from intarsia.core.catalogue import find, members
from intarsia.core.errors import OptionError, few
from intarsia.data.doctor._copy import check_format, check_truth, write_copy
from intarsia.data.doctor._survey import Survey, survey

if TYPE_CHECKING:
    from pathlib import Path

    from intarsia.data.doctor._finding import Check, Finding

__all__ = ["Copy", "Report", "examine", "mended"]

FAMILY = "data.doctor"
ORDER = ("error", "warning", "note")
SHOWN = 4
"""Files of a finding that are named in its text."""


@dataclass(frozen=True)
class Copy:
    """What a mended copy is."""

    path: Path
    images: int
    changed: dict[str, int]
    """The pairs that were changed, by finding."""
    left_out: dict[str, tuple[str, ...]]
    """The files that are not in it, by finding."""
    errors: tuple[str, ...]
    """What would still spoil a training."""

    def __str__(self) -> str:
        lines = [f"mended copy: {self.path}, {self.images} image{'s' * (self.images != 1)}"]
        lines += [f"  changed for {name}: {count}" for name, count in self.changed.items()]
        lines += [f"  left out for {name}: {len(files)} ({_few(files)})" for name, files in self.left_out.items()]
        if self.errors:
            return "\n".join([*lines, f"the copy is not sound: {', '.join(self.errors)}; intarsia doctor {self.path} tells more"])
        return "\n".join([*lines, "the copy is sound"])


@dataclass(frozen=True)
class Report:
    """What was found, errors first."""

    path: Path
    format: str
    images: int
    findings: tuple[Finding, ...]
    survey: Survey
    copy: Copy | None = None
    """The mended copy, where one was asked for."""
    sheet: Path | None = None
    """The picture of the findings, where one was asked for and something can be shown."""

    def __str__(self) -> str:
        read = f"{self.images} image{'s' * (self.images != 1)}, read as" if self.survey.facts else "not opened, taken for"
        lines = [f"{self.path}: {read} {self.format} ({self.survey.why})", ""]
        for finding in self.findings:
            lines += [
                f"{finding.severity}: {finding.check}",
                f"  {finding.message}",
                f"  remedy: {finding.remedy}",
                *([f"  {_few(_beside(finding))}"] if any(finding.files) else []),
                "",
            ]
        errors = len(self.errors)
        lines.append(
            f"not sound: {errors} error{'s' * (errors > 1)}" if errors else "sound: nothing found that would spoil a training"
        )
        return "\n".join(lines if self.copy is None else [*lines, "", str(self.copy)])

    @property
    def errors(self) -> tuple[str, ...]:
        """The names of the findings that would spoil a training."""
        return tuple(finding.check for finding in self.findings if finding.severity == "error")

    @property
    def sound(self) -> bool:
        """Whether a training on it would be."""
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        read_as = {"path": str(self.path), "format": self.format, "why": self.survey.why, "images": self.images}
        plain = {**read_as, "sound": self.sound, "findings": [asdict(finding) for finding in self.findings]}
        copy = (
            {} if self.copy is None else {"copy": asdict(self.copy) | {"path": str(self.copy.path), "sound": not self.copy.errors}}
        )
        return plain | copy


def _beside(finding: Finding) -> tuple[str, ...]:
    """The files of a finding, each with the one that it is like."""
    if not finding.others:
        return finding.files
    return tuple(f"{file} as {other}" for file, other in zip(finding.files, finding.others, strict=True))


def _few(files: tuple[str, ...]) -> str:
    return few(list(dict.fromkeys(files)), SHOWN)


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


def mended(report: Report, out: Path) -> Copy:
    """Writes a copy without what was found and can be mended: `images/SPLIT/`, `masks/SPLIT/` and a class file; untouched files
    are copied byte by byte, and nothing of the original is changed. Gives what was done, the copy examined in its turn.

    Raises OptionError for formats whose labels are not one picture for each image, for findings that only the maker of the data
    can mend, and for truth that such a folder cannot hold; nothing is written then.
    """
    every = dict(checks())
    check_format(report.survey)
    stuck: list[str] = []
    for finding in report.findings:
        check = every[finding.check]
        reason = check.hopeless(report.survey) if check.hopeless else ""
        if finding.severity == "error" and (check.mend is None or reason):
            stuck.append(f"{finding.check}: {finding.message}\n  {reason or finding.remedy}")
    if stuck:
        received = "what its maker must mend first\n" + "\n".join(stuck)
        raise OptionError("--fix", expected="findings that can be mended", received=received)
    check_truth(report.survey)
    of_key: dict[str, list[Check]] = {}
    for finding in report.findings:
        check = every[finding.check]
        for key in finding.keys if check.mend is not None else ():
            of_key.setdefault(key, []).append(check)
    kept = write_copy(report.survey, of_key, out)
    changed, left = {}, {}
    for finding in report.findings:
        if every[finding.check].mend is None:
            continue
        if number := sum(key in kept for key in finding.keys):
            changed[finding.check] = number
        gone = tuple(file for key, file in zip(finding.keys, finding.files, strict=True) if key not in kept)
        if gone:
            left[finding.check] = gone
    return Copy(out, len(kept), changed, left, examine(out, format="mask_folder").errors)
