"""Two processes on the CPU: the counts of an evaluation and the gradients of a step are those of one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import intarsia
from intarsia.engine.demo import write_scenes
from two_processes import outcome

HERE = Path(__file__).parent


def run_two(*script: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
    done = subprocess.run(launch, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_two_processes_count_and_learn_as_one(tmp_path):
    run_two(HERE / "two_processes.py", tmp_path / "two.json")
    one, two = outcome(), json.loads((tmp_path / "two.json").read_text())
    assert two["processes"] == 2
    assert one["keys"] == two["keys"] == [str(index) for index in range(7)]
    assert one["confusion"] == two["confusion"]
    assert max(abs(a - b) for a, b in zip(one["gradient"], two["gradient"], strict=True)) < 1e-6
    assert max(map(abs, one["gradient"])) > 1e-3


def test_a_whole_training_by_two_processes_makes_one_run(tmp_path):
    """Without batch norm, clipped or augmented: the losses are those of one process."""
    write_scenes(tmp_path / "data", 14, size=(32, 40), val=0.3, test=0)
    recipe = {"model": "plain_network:Plain", "optimizer": "sgd", "epochs": 2, "loss": {"cross_entropy": 1.0}}
    recipe |= {"device": "cpu", "precision": "fp32", "quiet": True}
    one = intarsia.train(tmp_path / "data", out=str(tmp_path / "one"), batch_size=4, **recipe)
    code = f"import intarsia; intarsia.train({str(tmp_path / 'data')!r}, out={str(tmp_path / 'two')!r}, batch_size=2, **{recipe!r})"
    (tmp_path / "script.py").write_text(code)
    run_two(tmp_path / "script.py")
    logs = [(folder / "metrics.csv").read_text().splitlines() for folder in (one.folder, tmp_path / "two")]
    rows = [[line.split(",")[:2] for line in log] for log in logs]
    assert len(rows[0]) == len(rows[1]) == 3
    for (epoch, loss), (other_epoch, other_loss) in zip(rows[0][1:], rows[1][1:], strict=True):
        assert epoch == other_epoch
        assert float(loss) == pytest.approx(float(other_loss), rel=1e-4)
    assert (tmp_path / "two" / "val" / "scores.json").is_file()
