"""Two processes on the CPU: the counts of an evaluation and the gradients of a step are those of one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, sys
import numpy as np
import torch
from accelerate import PartialState
from intarsia.core import ClassSet, Sample, Segments
from intarsia.data.dataset import Dataset
from intarsia.engine.devices import accelerator_for
from intarsia.engine.evaluate import evaluate_network
from intarsia.engine.ingredients import Ingredients
from intarsia.engine.optimisers import set_rate
from intarsia.engine.options import TrainOptions
from intarsia.engine.train import accumulated_step

rng = np.random.default_rng(0)
samples = []
for index in range(7):
    labels = rng.integers(0, 3, (12, 12))
    labels[: index + 1] = -1
    samples.append(Sample(rng.integers(0, 256, (12, 12, 3), np.uint8), Segments.from_semantic(labels, 3), str(index)))
data = Dataset.from_samples(samples, ClassSet(("a", "b", "c")), splits={str(index): "train" for index in range(7)})
ranks = int(sys.argv[1])
options = TrainOptions(
    model="plain_network:Plain", batch_size=4 // ranks, optimizer="sgd", lr=0.1, momentum=0.0, weight_decay=0.0, augment=False,
    loss={"cross_entropy": 1.0}, device="cpu", precision="fp32",
)
parts = Ingredients(data, options, accelerator_for(options))
assert parts.accelerator.num_processes == ranks
metric = evaluate_network(parts.bare, data, data.classes, parts.recipe, batch_size=2)
scores = metric.compute()
stream = parts.batches(parts.order(range(1)))
set_rate(parts.optimiser, 1.0)
before = torch.cat([parameter.detach().flatten() for parameter in parts.bare.parameters()]).clone()
accumulated_step(parts, [next(stream)])
gradient = before - torch.cat([parameter.detach().flatten() for parameter in parts.bare.parameters()])
if PartialState().is_main_process:
    answer = {"gradient": gradient.tolist(), "confusion": np.asarray(scores.confusion).tolist(), "keys": sorted(metric.keys)}
    open(sys.argv[2], "w").write(json.dumps(answer))
PartialState().destroy_process_group()
"""


def outcome(folder: Path, ranks: int) -> dict:
    (folder / "script.py").write_text(SCRIPT)
    answer = folder / f"{ranks}.json"
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run(
        [sys.executable, *launch, folder / "script.py", str(ranks), answer], check=True, env=environment, capture_output=True
    )
    return json.loads(answer.read_text())


def test_two_processes_count_and_learn_as_one(tmp_path):
    one, two = outcome(tmp_path, 1), outcome(tmp_path, 2)
    assert one["keys"] == two["keys"] == [str(index) for index in range(7)]
    assert one["confusion"] == two["confusion"]
    worst = max(abs(a - b) for a, b in zip(one["gradient"], two["gradient"], strict=True))
    assert worst < 1e-6
    assert max(map(abs, one["gradient"])) > 1e-3
