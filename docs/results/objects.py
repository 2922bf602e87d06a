"""Instance and panoptic segmentation on real and synthetic data: trains what objects.md tells of, and writes its tables.

    python docs/results/objects.py train DATA WEIGHTS RUNS [NAME ...]
    python docs/results/objects.py score DATA RUNS [NAME ...]
    python docs/results/objects.py tables

DATA is the folder that holds the data sets, WEIGHTS the folder of the encoders'; runs go into the folder RUNS, and one that was cut
off is gone on with. `train` ends with `score`: the scores and the counts of every image come to objects/NAME. `tables` needs
neither data nor networks: it prints what stands in objects.md.

Scored are the last weights of the training, which nothing has chosen, on images held out, or, where the name ends in `_overfit`, on
the training images themselves. Scenes are drawn: 480 to train, 32 to watch, 128 to score.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments import ENCODER, HERE, interval, keep
from plans import minutes

from intarsia.engine.spelling import spelled

KEPT = HERE / "objects"
COMMON = {"batch_size": 4, "lr": 1e-3, "encoder_lr_factor": 0.3, "weight_decay": 0.02, "ema": 0.99, "colour": 0.2}
WHOLE = {"scale": (1.0, 1.0), "flip": 0.0, "colour": 0.0, "weight_decay": 0.0, "early_stop": 0}
"""Without augmentation: what is to be learnt by heart."""
LIGHT_MASK_RCNN = {
    "width": 96, "box_width": 256, "mask_width": 96, "mask_layers": 3, "proposals": 256, "region_samples": 128,
}  # fmt: skip
LIGHT_MASK2FORMER = {"width": 96, "queries": 30, "layers": 3, "heads": 4, "hidden": 256, "finest": 2}
QUERY = {
    "model": "mask2former", "model_args": LIGHT_MASK2FORMER, "loss_args": {"mask_set": {"points": 3000}}, "lr": 1e-3,
    "encoder_lr_factor": 0.3, "weight_decay": 0.05, "clip_norm": 0.1,
}  # fmt: skip
CENTRES = {"model": "panoptic_deeplab", "lr": 2e-3}


@dataclass(frozen=True)
class Real:
    """A training, and what is asked of it."""

    data: str
    options: dict[str, Any]
    split: str = "val"
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)
    also: tuple[str, ...] = field(default=())
    """Other tasks that the same weights are asked for."""


RUNS = {
    "pennfudan": Real(
        "pennfudan",
        {"model": "mask_rcnn", "model_args": LIGHT_MASK_RCNN, "size": (384, 448), "epochs": 40, "batch_size": 2,
         "scale": (0.7, 1.4)},
        measures={"counting": {}},
    ),
    "nuclei": Real(
        "dsb2018_nuclei",
        CENTRES
        | {"model_args": {"stride": 2, "width": 64, "instance_width": 64}, "size": (256, 256), "epochs": 100, "rotation": 180.0,
           "scale": (0.7, 1.4), "task": "instance"},
        measures={"counting": {"threshold": 0.1}},  # of 0.1 to 0.5 the one with the least error on the training images
    ),
    "scenes_centres": Real(
        "scenes",
        CENTRES
        | {"model_args": {"stride": 2, "width": 128, "instance_width": 64}, "epochs": 20, "scale": (0.8, 1.5), "batch_size": 8},
        split="test",
    ),
    "scenes_queries": Real(
        "scenes", QUERY | {"epochs": 60, "scale": (0.8, 1.5), "batch_size": 8}, split="test", also=("instance", "semantic")
    ),
    "scenes_centres_overfit": Real(
        "scenes16",
        CENTRES | WHOLE | {"model_args": {"stride": 2, "width": 128, "instance_width": 64}, "size": (240, 320), "epochs": 150},
    ),
    "scenes_queries_overfit": Real("scenes16", QUERY | WHOLE | {"epochs": 300}, also=("instance", "semantic")),
    "coco_overfit": Real(
        "coco8",
        WHOLE | {"model": "mask_rcnn", "model_args": LIGHT_MASK_RCNN, "size": (320, 448), "epochs": 240, "batch_size": 2},
    ),
}  # fmt: skip


def opened(data: Path, runs: Path, name: str) -> Any:
    """A data set by its name in RUNS: a folder of DATA, scenes, or a few images that are both trained on and scored."""
    import intarsia

    folder = runs / f"{name}_data"
    if name == "scenes":
        if not folder.exists():
            intarsia.convert(intarsia.scenes(640, val=0.05, test=0.2), folder, "coco_panoptic")
        return intarsia.open_dataset(folder)
    few = {
        "scenes16": lambda: intarsia.scenes(16, val=0, test=0),
        "coco8": lambda: intarsia.open_dataset(data / "coco_instances")[:8],
    }
    if name not in few:
        return intarsia.open_dataset(data / name)
    samples = [sample for sample in few[name]() if sample.segments is not None]
    twice = [(split, sample) for split in ("train", "val") for sample in samples]
    from dataclasses import replace

    named = [replace(sample, key=f"{split}_{sample.key}") for split, sample in twice]
    classes = samples[0].classes
    return intarsia.Dataset.from_samples(named, classes, splits={sample.key: sample.key.partition("_")[0] for sample in named})


def train(data: Path, weights: Path, runs: Path, names: list[str]) -> None:
    """One after the other; each is scored when it has ended."""
    import intarsia

    for name in names or RUNS:
        real, folder = RUNS[name], runs / name
        options = COMMON | ENCODER | {"weights": str(weights / ENCODER["weights"])} | real.options
        options |= {"evaluate_every": max(1, options["epochs"] // 10), "waive": ("leak",)}
        if (folder / "run.json").exists():
            intarsia.resume(folder)
        else:
            intarsia.train(opened(data, runs, real.data), out=folder, **options)
        score(data, runs, [name])


def score(data: Path, runs: Path, names: list[str]) -> None:
    """The last weights of each, asked for each of its tasks."""
    import intarsia

    for name in names or RUNS:
        real, folder = RUNS[name], runs / name
        some = opened(data, runs, real.data)
        for task in (None, *real.also):
            place = folder / (task or "scores")
            measures = real.measures if task is None else {}
            intarsia.evaluate(
                folder / "weights" / "last.safetensors", some, split=real.split, task=task, measures=measures, out=place
            )
            keep(place, KEPT / name / place.name)
        facts = {
            "scored": len(some.split(real.split)),
            "trained": len(some.split("train")),
            "minutes": minutes(folder / "metrics.csv"),
        }
        (KEPT / name / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")


SHOWN = {"instance": ("mask_ap50", "mask_ap", "box_ap"), "panoptic": ("pq", "pq_things", "pq_stuff"), "semantic": ("mean_iou",)}
"""The scores that the table tells of a task."""


def tables() -> str:
    """Scores with their intervals as Markdown."""
    lines = ["| run | task | images, trained and scored | scores | minutes |", "|---" * 5 + "|"]
    for name, real in RUNS.items():
        if not (KEPT / name / "facts.json").exists():
            continue
        facts = json.loads((KEPT / name / "facts.json").read_text())
        for place in ("scores", *real.also):
            scores = json.loads((KEPT / name / place / "scores.json").read_text())
            task = next(task for task, names in SHOWN.items() if names[0] in scores)
            told = [f"{spelled(one)} {scores[one]:.3f} {interval(*scores['intervals'][one])}" for one in SHOWN[task]]
            if counts := scores.get("counting"):
                told += [f"count error {counts['relative_error']:.3f} {interval(*counts['intervals']['relative_error'])}"]
            used = f"{facts['trained']}, {facts['scored']}"
            lines.append(f"| {name} | {task} | {used} | {'; '.join(told)} | {facts['minutes']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["train", data, weights, runs, *names]:
            train(Path(data), Path(weights), Path(runs), names)
        case ["score", data, runs, *names]:
            score(Path(data), Path(runs), names)
        case ["tables"]:
            print(tables())
        case _:
            sys.exit(__doc__)
