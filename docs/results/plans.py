"""The plan, without a single setting, beside the best constant map and a classifier of pixels.

    python docs/results/plans.py train DATA RUNS [NAME ...]
    python docs/results/plans.py tables

DATA is the folder that holds the data sets; runs go into the folder RUNS, and one that was cut off is gone on with. The scores and
the counts of every image come to plans/NAME. `tables` needs neither data nor networks: it prints what stands in plans.md.

A data set with a test split is scored on it, the others on their validation split, with the last weights of the training, which
nothing has chosen. The constant map is of the class whose map scores best on the training images. The classifier is scikit-learn's
gradient boosting on the channels of a pixel and on their Gaussian blurs by 1, 2, 4 and 8 pixels, fitted to 200,000 pixels drawn
from the training images; it is fitted with and without balanced classes, and what scores better where all are scored counts.
"""

import csv
import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from experiments import HERE, interval, keep

KEPT = HERE / "plans"
SETS = {
    "camvid": "camvid",
    "nuclei": "dsb2018_nuclei",
    "membranes": "em_membrane",
    "tiles": "magnetic_tile",
    "pets": "oxford_pets",
    "vegas": "geotiff/*vegas*_[rm]*[bk].tif",
}
"""The folder of each below DATA; of one, files in it."""
BLURS, PIXELS = (1, 2, 4, 8), 200_000


def train(data: Path, runs: Path, names: list[str]) -> None:
    """All three ways, one data set after the other."""
    import intarsia
    from intarsia.engine.plan import make_plan

    for name in names or SETS:
        folder = runs / name
        run = (
            intarsia.resume(folder)
            if (folder / "run.json").exists()
            else intarsia.train(found(data, name, runs), task="semantic", out=folder)
        )
        planned = make_plan(intarsia.open_dataset(found(data, name, runs)), task="semantic").data
        split = "test" if "test" in planned.splits else "val"
        intarsia.evaluate(run.last, planned, split=split, out=folder / "scores")
        baselines(planned, split, folder)
        kept = KEPT / name
        for way in ("scores", "constant", "pixels"):
            keep(folder / way, kept / way)
        facts = {
            "split": split,
            "scored": len(planned.split(split)),
            "trained": len(planned.split("train")),
            "minutes": minutes(run.folder / "metrics.csv"),
        }
        (kept / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")


def minutes(metrics: Path) -> int:
    """How long a training has taken, over interruptions."""
    with metrics.open(newline="") as file:
        *_, last = csv.DictReader(file)
    return round(float(last["seconds"]) / 60)


def found(data: Path, name: str, runs: Path) -> Path:
    """The folder of a data set; of files among others, one with them alone."""
    if "*" not in SETS[name]:
        return data / SETS[name]
    alone = runs / f"{name}_data"
    alone.mkdir(parents=True, exist_ok=True)
    for file in data.glob(SETS[name]):
        shutil.copy(file, alone / file.name)
    return alone


def baselines(data: Any, split: str, folder: Path) -> None:
    """Scores of what a network has to beat."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    labels = [one.segments.semantic(len(data.classes)) for one in data.split("train")]
    count = 1 + max(int(one.max()) for one in labels)  # the class after the last is nothing
    constants = [scored(data, "train", lambda image, of=index: np.full(image.shape[:2], of)) for index in range(count)]
    best = max(range(count), key=lambda index: constants[index][1].mean_iou)
    written(scored(data, split, lambda image: np.full(image.shape[:2], best)), folder / "constant")

    rng = np.random.default_rng(0)
    share, chosen, classes = PIXELS / sum((one >= 0).sum() for one in labels), [], []
    for sample, label in zip(data.split("train"), labels, strict=True):
        picked = (rng.random(label.shape) < share) & (label >= 0)
        chosen.append(features(sample.image)[picked])
        classes.append(label[picked])
    fits = []
    for weight in (None, "balanced"):
        model = HistGradientBoostingClassifier(random_state=0, class_weight=weight, early_stopping=False)
        model.fit(np.concatenate(chosen), np.concatenate(classes))
        fits.append(scored(data, split, partial(classified, model)))
    written(max(fits, key=lambda fit: fit[1].mean_iou), folder / "pixels")


def classified(model: Any, image: Any) -> Any:
    """(H, W, C) to the class of each pixel, (H, W)."""
    described = features(image)
    return model.predict(described.reshape(-1, described.shape[-1])).reshape(image.shape[:2])


def features(image: Any) -> Any:
    """(H, W, C) to (H, W, 5 C): the values, and their blurs."""
    import cv2

    values = image.astype(np.float32)
    blurs = [cv2.GaussianBlur(values, (0, 0), sigma).reshape(values.shape) for sigma in BLURS]
    return np.concatenate([values, *blurs], axis=-1)


def scored(data: Any, split: str, answer: Any) -> tuple[Any, Any]:
    """The metric and the scores of what gives an image (H, W, C) its classes (H, W)."""
    from intarsia.core import Segments
    from intarsia.engine.evaluate import evaluate_predictor

    count = len(data.classes)
    metric = evaluate_predictor(
        lambda image: Segments.from_semantic(answer(image), count), data.split(split), data.classes, "semantic"
    )
    return metric, metric.compute()


def written(result: tuple[Any, Any], folder: Path) -> None:
    """What `tables` reads."""
    from intarsia.engine.saved import write_scores

    write_scores(*result, folder, {})


def tables() -> str:
    """Scores and differences as Markdown."""
    import intarsia

    head = (
        "data",
        "images, trained and scored",
        "constant map",
        "pixel classifier",
        "the plan",
        "plan - constant",
        "plan - classifier",
    )
    lines = [f"| {' | '.join(head)} | minutes |", "|---" * (len(head) + 1) + "|"]
    for name in SETS:
        if not (KEPT / name / "facts.json").exists():
            continue
        facts = json.loads((KEPT / name / "facts.json").read_text())
        cells = [name, f"{facts['trained']}, {facts['scored']} ({facts['split']})"]
        for way in ("constant", "pixels", "scores"):
            scores = json.loads((KEPT / name / way / "scores.json").read_text())
            cells.append(f"{scores['mean_iou']:.3f} {interval(*scores['intervals']['mean_iou'])}")
        for way in ("constant", "pixels"):
            paired = intarsia.compare(KEPT / name / way, KEPT / name / "scores").scores["semantic"]["mean_iou"]
            cells.append(f"{paired.value:+.3f} {interval(paired.low, paired.high, sign='+')}")
        lines.append(f"| {' | '.join(cells)} | {facts['minutes']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["train", data, runs, *names]:
            train(Path(data), Path(runs), names)
        case ["tables"]:
            print(tables())
        case _:
            sys.exit(__doc__)
