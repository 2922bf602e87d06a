"""Trains what the pages here compare, keeps what their tables rest on, and writes the tables.

    python docs/results/experiments.py train EXPERIMENT DATA WEIGHTS RUNS [NAME ...]
    python docs/results/experiments.py budget EXPERIMENT DATA
    python docs/results/experiments.py latency EXPERIMENT
    python docs/results/experiments.py tables EXPERIMENT

`train` puts the runs into the folder RUNS and goes on with one that was cut off; WEIGHTS is the .safetensors file of the encoder.
Of each run the scores and the counts of every image come to EXPERIMENT/NAME. `budget` prints the epochs that take each network as
long as the first: steps are timed taking turns, so that the ratio holds on a machine that others use too. `latency` wants one that
does nothing else.
`tables` needs neither data nor networks: it prints what stands in EXPERIMENT.md, from the counts.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WEIGHTS = "mobilenet_v2_imagenet_features_fp16.safetensors"
ENCODER = {"encoder": "mobilenetv2_100", "weights": WEIGHTS, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


@dataclass(frozen=True)
class Experiment:
    """Runs that differ in what `runs` says of each, and in nothing else; the first is the one the others are compared with."""

    data: str
    split: str
    size: tuple[int, int]
    """Of the images that multiply-adds and latency are told for."""
    recipe: dict[str, Any]
    runs: dict[str, dict[str, Any]]

    def options(self, name: str) -> dict[str, Any]:
        """What one of them is trained with; `source`, where there is one, is the run that it goes on from."""
        return self.recipe | self.runs[name]


EXPERIMENTS = {
    "camvid_networks": Experiment(
        data="camvid",
        split="test",
        size=(360, 480),
        recipe={
            "half_size": 0.5,
            "scale": (0.75, 2.0),
            "batch_size": 4,
            "lr": 1e-3,
            "encoder_lr_factor": 0.5,
            "weight_decay": 0.02,
            "ema": 0.995,
            "class_weights": "sqrt_median_frequency",
            "evaluate_every": 300,  # the end alone
            "seed": 0,
        },
        runs={
            # the epochs: 30 minutes on two quiet cores for the first, for the others what `budget` prints
            "unet": {"epochs": 33, "model": "unet", **ENCODER},
            "segformer_stride2": {"epochs": 39, "model": "segformer", "model_args": {"finest": 2, "width": 64}, **ENCODER},
            "deeplabv3_plus": {"epochs": 28, "model": "deeplabv3_plus", **ENCODER},
            "fcn8s": {"epochs": 45, "model": "fcn", "model_args": {"stride": 8}, **ENCODER},
            "segnet": {
                "epochs": 56,
                "model": "segnet",
                "model_args": {"widths": [16, 32, 64, 128, 128]},
                "mean": (0.5,) * 3,
                "std": (0.5,) * 3,
            },
        },
    ),
    "tile_defects": Experiment(
        data="magnetic_tile",
        split="val",
        size=(256, 256),
        recipe={
            "size": (256, 256),
            "epochs": 40,
            "batch_size": 4,
            "rotation": 10,
            "ema": 0.99,
            "class_weights": "sqrt_median_frequency",
            "evaluate_every": 40,  # the end alone, because there are no further images to choose an epoch by
            "seed": 0,
        },
        runs={
            "scratch": {"model": "unet", "encoder": "mobilenetv2_100"},
            "imagenet": {"model": "unet", **ENCODER, "lr": 5e-4, "freeze": 0.2, "layer_decay": 0.8},
            "camvid": {"source": "unet"},
        },
    ),
}


def train(experiment: str, data: str, weights: str, runs: str, names: list[str]) -> None:
    """One run after the other."""
    import intarsia
    from intarsia.engine.describe import multiply_adds

    made = EXPERIMENTS[experiment]
    for name in names or made.runs:
        folder, kept = Path(runs) / name, HERE / experiment / name
        options = made.options(name) | {"out": folder} | ({"weights": weights} if "weights" in made.options(name) else {})
        source = options.pop("source", None)
        if (folder / "run.json").exists():
            run = intarsia.resume(folder)
        else:
            run = intarsia.fine_tune(Path(runs) / source, data, **options) if source else intarsia.train(data, **options)
        print(name, intarsia.evaluate(run.last, data, split=made.split, out=folder / "scores"), flush=True)
        model = intarsia.load(run.last)
        facts = {
            "epochs": len((folder / "metrics.csv").read_text().splitlines()) - 1,
            "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
            "multiply_adds": multiply_adds(model.network, made.size),
        }
        keep(folder / "scores", kept)
        (kept / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")


def keep(scores: Path, kept: Path) -> None:
    """Copies what a table rests on."""
    kept.mkdir(parents=True, exist_ok=True)
    for file in ("scores.json", "counts.npz"):
        shutil.copy(scores / file, kept / file)


def budget(experiment: str, data: str, rounds: int = 9) -> None:
    """The epochs of each network that take as long as those of the first: half of them at half size, as in the recipe."""
    from dataclasses import fields
    from statistics import median
    from time import perf_counter

    import intarsia
    from intarsia.engine.devices import accelerator_for
    from intarsia.engine.ingredients import Ingredients
    from intarsia.engine.train import accumulated_step

    made, dataset = EXPERIMENTS[experiment], intarsia.open_dataset(data)
    known = {field.name for field in fields(intarsia.TrainOptions)}
    steps = {}
    for name in made.runs:
        given = {key: value for key, value in made.options(name).items() if key in known - {"weights"}}
        options = intarsia.TrainOptions(**given)
        parts = Ingredients(dataset, options, accelerator_for(options))
        batches = [next(iter(parts.batches(parts.order(range(1)), half=half))) for half in (True, False)]
        steps[name] = parts, batches, ([], [])
    for turn in range(rounds + 2):
        for parts, batches, times in steps.values():
            for batch, seconds in zip(batches, times, strict=True):
                begin = perf_counter()
                accumulated_step(parts, [batch])
                seconds += [perf_counter() - begin] if turn > 1 else []
    cost = {name: sum(median(seconds) for seconds in times) / 2 for name, (_, _, times) in steps.items()}
    first = next(iter(made.runs))
    for name, (_, _, times) in steps.items():
        half, full = (1000 * median(seconds) for seconds in times)
        epochs = made.runs[first]["epochs"] * cost[first] / cost[name]
        print(f"{name:20} {half:6.0f} ms at half size, {full:6.0f} at full; {epochs:.1f} epochs")


def latency(experiment: str) -> None:
    """Milliseconds for one image, added to the facts; they do not depend on weights."""
    import torch

    from intarsia.core.catalogue import find
    from intarsia.engine.describe import measured

    for folder in kept(experiment):
        options = EXPERIMENTS[experiment].options(folder.name)
        on = {"encoder": options["encoder"]} if "encoder" in options else {}
        network = find("models", options["model"])(11, **options.get("model_args", {}), **on)
        file = folder / "facts.json"
        facts = json.loads(file.read_text()) | measured(network, torch.device("cpu"))
        file.write_text(json.dumps(facts, indent=2) + "\n")


def kept(experiment: str) -> list[Path]:
    """What was trained, in the order above."""
    folders = [HERE / experiment / name for name in EXPERIMENTS[experiment].runs]
    return [folder for folder in folders if (folder / "facts.json").exists()]


def tables(experiment: str) -> str:
    """Scores, differences to the first, and commands, as Markdown."""
    import intarsia

    made, folders = EXPERIMENTS[experiment], kept(experiment)
    first = folders[0]
    lines = [
        f"| run | pixel accuracy | mean IoU | mean IoU - that of `{first.name}` | epochs | parameters | multiply-adds | latency |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for folder in folders:
        scores, facts = (json.loads((folder / file).read_text()) for file in ("scores.json", "facts.json"))
        paired = intarsia.compare(first, folder).scores["semantic"]["mean_iou"]
        cells = [
            f"`{folder.name}`",
            *(f"{scores[name]:.4f} {interval(*scores['intervals'][name])}" for name in ("pixel_accuracy", "mean_iou")),
            "" if folder == first else f"{paired.value:+.4f} {interval(paired.low, paired.high, sign='+')}",
            str(facts["epochs"]),
            f"{facts['parameters'] / 1e6:.2f} M",
            f"{facts['multiply_adds'] / 1e9:.2f} G",
            f"{facts['latency_ms']:.0f} ms" if "latency_ms" in facts else "-",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", "```sh", *(command(made, folder.name) for folder in folders), "```"])


def interval(low: float, high: float, sign: str = "") -> str:
    """A 95 % interval."""
    return f"[{low:{sign}.4f}, {high:{sign}.4f}]"


def command(made: Experiment, name: str) -> str:
    """The command line of a run."""
    options = made.options(name)
    source = options.pop("source", None)
    words = [word for key, value in options.items() for word in ("--" + key.replace("_", "-"), *spelled(value))]
    verb = f"fine-tune runs/{source}" if source else "train"
    return f"intarsia {verb} {made.data} {' '.join(words)} --out runs/{name}"


def spelled(value: object) -> list[str]:
    """The words of one value."""
    if isinstance(value, dict):
        return [f"{name}={str(item).replace(' ', '')}" for name, item in value.items()]
    return [str(one) for one in value] if isinstance(value, tuple) else [str(value)]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["train", experiment, data, weights, runs, *names]:
            train(experiment, data, weights, runs, names)
        case ["budget", experiment, data]:
            budget(experiment, data)
        case ["latency", experiment]:
            latency(experiment)
        case ["tables", experiment]:
            print(tables(experiment))
        case _:
            sys.exit(__doc__)
