"""Two processes on the CPU: the counts of an evaluation and the gradients of a step are those of one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

from two_processes import outcome

HERE = Path(__file__).parent


def test_two_processes_count_and_learn_as_one(tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", HERE / "two_processes.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
    subprocess.run([*launch, tmp_path / "two.json"], check=True, env=environment, capture_output=True)
    one, two = outcome(), json.loads((tmp_path / "two.json").read_text())
    assert two["processes"] == 2
    assert one["keys"] == two["keys"] == [str(index) for index in range(7)]
    assert one["confusion"] == two["confusion"]
    assert max(abs(a - b) for a, b in zip(one["gradient"], two["gradient"], strict=True)) < 1e-6
    assert max(map(abs, one["gradient"])) > 1e-3
