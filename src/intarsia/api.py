"""The Python face: what the command line can do, as functions. Importing this loads no torch; the functions that need it do."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.errors import DatasetNotFound, OptionError, nearest
from intarsia.data.class_files import read_classes, write_classes
from intarsia.data.coding import Coding
from intarsia.data.dataset import Dataset
from intarsia.data.images import read_image, write_bytes
from intarsia.data.open import open_dataset
from intarsia.data.scenes import scenes
from intarsia.engine.options import LrFindOptions, TrainOptions
from intarsia.engine.run import Run, free_folder, run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from intarsia.engine.lr_finder import RangeTest
    from intarsia.engine.network import Model

__all__ = [
    "ClassSet",
    "Dataset",
    "Run",
    "Sample",
    "Segments",
    "TrainOptions",
    "demo",
    "evaluate",
    "evaluate_folders",
    "list_models",
    "load",
    "look",
    "lr_find",
    "open_dataset",
    "open_image",
    "open_mask",
    "predict",
    "reproduce",
    "resume",
    "scenes",
    "train",
]

Data = Dataset | str | Path


def open_image(path: str | Path) -> NDArray[Any]:
    """(H, W, C) in the file's own dtype."""
    return read_image(Path(path))


def open_mask(
    path: str | Path, classes: ClassSet | Sequence[str] | str | Path | None = None, *, image: str | Path | None = None
) -> Sample:
    """A label file, by itself or over its image: `open_mask("a.png").show()`. `classes` are names, or a class file; else the ids
    are the names.
    """
    from intarsia.engine.looking import sample_of_ids

    if isinstance(classes, str | Path):
        classes = read_classes(Path(classes)).classes
    names = classes if classes is None or isinstance(classes, ClassSet) else ClassSet(tuple(classes))
    return sample_of_ids(Path(path), names, None if image is None else Path(image))


def _opened(data: Data, format: str | None = None, data_args: Mapping[str, Any] | None = None) -> Dataset:
    return data if isinstance(data, Dataset) else open_dataset(data, format=format, **(data_args or {}))


def _options(kind: type[Any], options: Any, changes: Mapping[str, Any]) -> Any:
    """`options`, or the defaults of `kind`, with `changes`; an unknown name raises OptionError with the nearest."""
    known = [field.name for field in fields(kind)]
    for name in changes:
        if name not in known:
            raise OptionError(f"option {name!r}", expected="an option of the command", hint=nearest(name, known))
    return replace(options, **changes) if options is not None else kind(**changes)


def train(
    data: Data,
    options: TrainOptions | None = None,
    *,
    callbacks: Sequence[Callable[[Mapping[str, float]], None]] = (),
    quiet: bool = False,
    **changes: Any,
) -> Run:
    """Checks the data, trains a network on it, evaluates it and draws the results: a Run folder, described in `Run`.

    `changes` are fields of TrainOptions: `train(data, model="unet", encoder="mobilenetv2_100", epochs=40)`. Each callback is called
    with the row of an epoch.
    """
    from intarsia.engine.training import start

    options = _options(TrainOptions, options, changes)
    dataset = _opened(data, options.format, options.data_args)
    used = {record for split in (options.split, options.val_split) for record in dataset.split(split).records}
    dataset.subset(record for record in dataset.records if record in used).check()
    return start(dataset, options, callbacks=callbacks, quiet=quiet)


def resume(run: str | Path | Run, *, callbacks: Sequence[Callable[[Mapping[str, float]], None]] = (), quiet: bool = False) -> Run:
    """Goes on with a run that was killed, with its own options; a finished one is returned as it is."""
    from intarsia.engine.training import go_on

    return go_on(run if isinstance(run, Run) else Run(Path(run)), callbacks=callbacks, quiet=quiet)


def reproduce(run: str | Path | Run, *, out: str | Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Runs a training again, its options on its data, and tells the difference in versions, scores and weights."""
    from intarsia.engine.reproduce import reproduce_run

    run = run if isinstance(run, Run) else Run(Path(run))
    folder = Path(out) if out is not None else free_folder(run.folder.with_name(run.folder.name + "-reproduced"))
    return reproduce_run(run, folder, quiet=quiet)


def lr_find(data: Data, options: LrFindOptions | None = None, *, out: str | Path = "lr_find.png", **changes: Any) -> RangeTest:
    """The learning-rate range test of a training; the curve is drawn to `out`."""
    from intarsia.engine.training import find_rate

    options = _options(LrFindOptions, options, changes)
    dataset = _opened(data, options.format, options.data_args)
    dataset.split(options.split).check()
    return find_rate(dataset, options, Path(out))


def load(
    source: str | Path | Run,
    *,
    file: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    flip: bool = False,
) -> Model:
    """A trained network: from a run folder (its best weights), a checkpoint, a folder of `save_pretrained`, or one that others have
    trained: `torchvision:NAME` (downloaded, or from a `file` of yours), `hf:org/name` or a folder of a transformers model.

    `load(run.best).predict("street.jpg").save("street.png")`. With `flip` answers are averaged with those for the mirror image.
    """
    from intarsia.engine.network import Model

    place = source.folder if isinstance(source, Run) else source
    return Model.from_pretrained(place, file=file, device=device, precision=precision, flip=flip)


def _loaded(model: str | Path | Run | Model, **options: Any) -> Model:
    return load(model, **options) if isinstance(model, str | Path | Run) else model


def evaluate(
    model: str | Path | Run | Model,
    data: Data | None = None,
    *,
    split: str = "test",
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    flip: bool = False,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int = 8,
    workers: int = 0,
) -> Any:
    """The scores of a network on a split, with 95 % intervals; `out` takes them as JSON, with the confusion matrix, a row per image
    and pictures of the worst and some other images. Without `data` it is the data the network's run was trained on.
    """
    from intarsia.engine.results import evaluate_and_draw

    loaded = _loaded(model, device=device, precision=precision, flip=flip)
    dataset = (run_of(model).open_data() if data is None else _opened(data, format, data_args)).split(split)
    dataset.check()
    return evaluate_and_draw(
        loaded, dataset, None if out is None else Path(out), split=split, batch_size=batch_size, workers=workers
    )


def evaluate_folders(truth: str | Path, prediction: str | Path, *, classes: str | Path | None = None) -> Any:
    """The scores of a folder of label files against another, matched by stem; loads no torch."""
    from intarsia.engine.label_folders import evaluate_label_folders

    return evaluate_label_folders(Path(truth), Path(prediction), None if classes is None else Path(classes))


def predict(
    model: str | Path | Run | Model,
    images: str | Path | Sequence[str | Path],
    *,
    out: str | Path = "predictions",
    flip: bool = False,
    device: str = "auto",
    precision: str = "auto",
) -> list[Path]:
    """For each image, or each image of a folder, an indexed label map STEM.png and STEM_overlay.png in `out`, and beside them a
    classes.json that says what the ids mean; the label maps are returned.
    """
    loaded = _loaded(model, device=device, precision=precision, flip=flip)
    named = [images] if isinstance(images, str | Path) else images
    files = [file for path in named for file in _image_files(Path(path))]
    targets = [Path(out) / f"{file.stem}.png" for file in files]
    if len(set(targets)) < len(files) or {path.resolve() for path in targets} & {file.resolve() for file in files}:
        raise OptionError("--out", expected="a folder apart from the images, and images of distinct names", received=str(out))
    write_bytes(Path(out) / "classes.json", write_classes(Coding.from_classes(loaded.classes)))
    for file, target in zip(files, targets, strict=True):
        answer = loaded.predict(file)
        answer.save(target.with_name(f"{file.stem}_overlay.png"))
        answer.save_label_map(target)
    return targets


def _image_files(path: Path) -> list[Path]:
    """The image itself, or all images directly in a folder."""
    from intarsia.data.images import IMAGE_SUFFIXES

    if path.is_file():
        return [path]
    files = sorted(file for file in path.glob("*") if file.suffix.lower() in IMAGE_SUFFIXES) if path.is_dir() else []
    if not files:
        raise DatasetNotFound(
            str(path), expected="an image or a folder of images", received="an empty folder" if path.is_dir() else "nothing"
        )
    return files


def look(
    data: Data,
    *,
    split: str | None = None,
    count: int = 4,
    out: str | Path = "look.png",
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
    batch: bool = True,
) -> list[Path]:
    """Before any training: samples as image, label, overlay, raw ids and class names; and a training batch as it is augmented."""
    from intarsia.engine.looking import look_at

    dataset = _opened(data, format, data_args)
    return look_at(dataset.split(split) if split else dataset, Path(out), count=count, batch=batch)


def demo(out: str | Path = "demo", *, epochs: int | None = None, quiet: bool = False) -> Run:
    """The main job on synthetic scenes: makes the data, looks at it, trains, evaluates, draws, and says where to look."""
    from intarsia.engine.demo import run_demo

    return run_demo(Path(out), epochs=epochs, quiet=quiet)


def list_models(
    encoder: str | None = None, *, measure: bool = False, device: str = "auto", license: str | None = None
) -> list[dict[str, Any]]:
    """The networks of the catalogue, on `encoder` where it is given and they take one, and the pretrained ones that `load` gets.

    A row tells parameters and multiply-adds (3 channels in, 11 classes out, 480x360), task, export routes, licences and origin;
    `measure` adds the latency on `device`. `license="commercial"` keeps those whose code and weights are known to allow that use.
    """
    from intarsia.core.licences import Licences
    from intarsia.engine.describe import describe_models, describe_pretrained

    if license not in (None, "commercial"):
        raise OptionError("license", expected="'commercial' or none", received=repr(license))
    rows = [*describe_models(encoder, measure=measure, device=device), *describe_pretrained()]
    return [row for row in rows if license is None or Licences(**row["licences"]).commercial]
