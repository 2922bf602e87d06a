"""Trains the networks of camvid_networks.md, each for the same time, keeps what the tables rest on, and writes the tables.

    python docs/results/camvid_networks.py train CAMVID MOBILENETV2.safetensors RUNS [NAME ...]
    python docs/results/camvid_networks.py latency
    python docs/results/camvid_networks.py tables

`train` goes on with a run that was cut off; of each run the scores and the counts of every test image come to camvid_networks/NAME.
`latency` wants a machine that does nothing else. `tables` needs neither data nor networks: it prints what stands in the page, from
the counts.
"""

import json
import shutil
import sys
from pathlib import Path

KEPT = Path(__file__).parent / "camvid_networks"
BASELINE = "unet"
NETWORKS = {
    "unet": {"model": "unet"},
    "upernet": {"model": "upernet", "model_args": {"width": 128}},
    "deeplabv3_plus": {"model": "deeplabv3_plus"},
    "fcn8s": {"model": "fcn", "model_args": {"stride": 8}},
    "segnet": {"model": "segnet", "model_args": {"widths": [16, 32, 64, 128, 128]}},
    "segformer": {"model": "segformer"},
}
ENCODER = "mobilenetv2_100"
RECIPE = {
    "minutes": 30,
    "epochs": 300,  # more than anyone reaches
    "half_size": 0.3,
    "scale": (0.75, 2.0),
    "batch_size": 4,
    "lr": 1e-3,
    "encoder_lr_factor": 0.5,
    "weight_decay": 0.02,
    "ema": 0.995,
    "class_weights": "sqrt_median_frequency",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "evaluate_every": 300,  # the end alone: the time is for learning
    "seed": 0,
}


def options(name: str, weights: str) -> dict[str, object]:
    """What a network is trained with: the recipe, and the encoder where it takes one."""
    return RECIPE | NETWORKS[name] | ({} if name == "segnet" else {"encoder": ENCODER, "weights": weights})


def train(camvid: str, weights: str, runs: str, names: list[str]) -> None:
    """One network after the other; what is done already is not done again."""
    import intarsia
    from intarsia.engine.describe import multiply_adds

    for name in names or NETWORKS:
        folder, kept = Path(runs) / name, KEPT / name
        started = (folder / "run.json").exists()
        run = intarsia.resume(folder) if started else intarsia.train(camvid, out=folder, **options(name, weights))
        print(name, intarsia.evaluate(run, out=folder / "test"), flush=True)
        model = intarsia.load(run)
        facts = {
            "epochs": len((folder / "metrics.csv").read_text().splitlines()) - 1,
            "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
            "multiply_adds": multiply_adds(model.network, (360, 480)),
            "val_mean_iou": run.metrics["mean_iou"],
        }
        kept.mkdir(parents=True, exist_ok=True)
        for file in ("scores.json", "counts.npz"):
            shutil.copy(folder / "test" / file, kept / file)
        (kept / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")


def latency() -> None:
    """Milliseconds for one image, added to the facts; they do not depend on weights."""
    import torch

    from intarsia.core.catalogue import find
    from intarsia.engine.describe import measured

    for folder in kept():
        chosen = options(folder.name, "none")
        on = {"encoder": chosen["encoder"]} if "encoder" in chosen else {}
        network = find("models", chosen["model"])(11, **chosen.get("model_args", {}), **on)
        file = folder / "facts.json"
        facts = json.loads(file.read_text()) | measured(network, torch.device("cpu"))
        file.write_text(json.dumps(facts, indent=2) + "\n")


def kept() -> list[Path]:
    """The networks that were trained, in the order above."""
    return [KEPT / name for name in NETWORKS if (KEPT / name / "facts.json").exists()]


def tables() -> str:
    """Scores, differences to the U-Net and commands, as Markdown."""
    import intarsia

    lines = [
        "| network | pixel accuracy | mean IoU | mean IoU - that of U-Net | val | epochs | parameters | multiply-adds | latency |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for folder in kept():
        scores, facts = (json.loads((folder / file).read_text()) for file in ("scores.json", "facts.json"))
        paired = intarsia.compare(KEPT / BASELINE, folder).scores["semantic"]["mean_iou"]
        difference = "" if folder.name == BASELINE else f"{paired.value:+.4f} [{paired.low:+.4f}, {paired.high:+.4f}]"
        cells = [
            f"`{folder.name}`",
            *(interval(scores, name) for name in ("pixel_accuracy", "mean_iou")),
            difference,
            f"{facts['val_mean_iou']:.4f}",
            str(facts["epochs"]),
            f"{facts['parameters'] / 1e6:.2f} M",
            f"{facts['multiply_adds'] / 1e9:.2f} G",
            f"{facts['latency_ms']:.0f} ms" if "latency_ms" in facts else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    commands = [f"intarsia train camvid {command(folder.name)} --out runs/{folder.name}" for folder in kept()]
    return "\n".join([*lines, "", "```sh", *commands, "```"])


def interval(scores: dict, name: str) -> str:
    """A score with its 95 % interval."""
    low, high = scores["intervals"][name]
    return f"{scores[name]:.4f} [{low:.4f}, {high:.4f}]"


def command(name: str) -> str:
    """The options as the command line has them."""
    return " ".join(
        word
        for key, value in options(name, "mobilenet_v2_imagenet_features_fp16.safetensors").items()
        for word in ("--" + key.replace("_", "-"), *spelled(value))
    )


def spelled(value: object) -> list[str]:
    """The words of one value."""
    if isinstance(value, dict):
        return [f"{name}={str(item).replace(' ', '')}" for name, item in value.items()]
    return [str(one) for one in value] if isinstance(value, tuple) else [str(value)]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["train", camvid, weights, runs, *names]:
            train(camvid, weights, runs, names)
        case ["latency"]:
            latency()
        case ["tables"]:
            print(tables())
        case _:
            sys.exit(__doc__)
