"""What is freed is kept for the next batch."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
from intarsia.engine.kept_memory import keep_freed

{first}
b"1" * 2**26
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
b"1" * 2**26
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")
def test_the_pages_of_one_block_come_to_the_next() -> None:
    def faults(first: str) -> int:
        return int(subprocess.run([sys.executable, "-c", FAULTS.format(first=first)], capture_output=True, check=True).stdout)

    assert faults("keep_freed()") < 100 < faults("") / 10  # 16,384 pages
