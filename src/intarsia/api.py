"""The Python face: what the command line can do, as functions. Importing this loads no torch; the functions that need it do.

Over 300 lines because the whole face is read on one page, most of it signatures and their docstrings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.errors import OptionError, nearest
from intarsia.data.class_files import read_classes
from intarsia.data.dataset import Dataset
from intarsia.data.images import read_image
from intarsia.data.open import located, open_dataset
from intarsia.data.scenes import scenes
from intarsia.data.splits import Splits, make_splits
from intarsia.engine.measures import asked_for
from intarsia.engine.options import FineTuneOptions, LrFindOptions, TrainOptions
from intarsia.engine.run import Run, free_folder, run_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from intarsia.data.examine import Report
    from intarsia.engine.compare import Comparison
    from intarsia.engine.lr_finder import RangeTest
    from intarsia.engine.network import Model

__all__ = [
    "ClassSet",
    "Dataset",
    "Run",
    "Sample",
    "Segments",
    "TrainOptions",
    "compare",
    "convert",
    "demo",
    "doctor",
    "evaluate",
    "evaluate_folders",
    "fine_tune",
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
    "split",
    "train",
]

Data = Dataset | str | Path
Measures = Sequence[str] | Mapping[str, Mapping[str, Any]]


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


def convert(
    data: Data,
    out: str | Path,
    to: str,
    *,
    lose: Sequence[str] = (),
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
) -> Dataset:
    """Writes a data set to the new folder `out` in the format `to`, and gives what was written, opened again.

    What the format has no room for is told beforehand, and nothing is written, unless `lose` names it: "void", "crowd", "classes"
    ... (see `intarsia.data.convert.LOSABLE`).
    """
    from intarsia.data.convert import convert as write_as

    write_as(_opened(data, format, data_args), Path(out), to, lose=lose)
    return open_dataset(out, format=to)


def split(
    data: Data,
    out: str | Path,
    *,
    val: float = 0.15,
    test: float = 0.0,
    folds: int = 0,
    stratify: bool = True,
    group_by: str = "",
    seed: int = 0,
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
) -> Splits:
    """Writes to `out` which image is in which split, for `open_dataset(..., splits=out)` or `--data-args splits=...`: parts alike
    in the pixels of each class, images of one group (`group_by`, see `make_splits`) in one part.
    """
    splits = make_splits(
        _opened(data, format, data_args), val=val, test=test, folds=folds, stratify=stratify, group_by=group_by, seed=seed
    )
    splits.write(Path(out))
    return splits


def doctor(
    data: str | Path,
    *,
    fix: str | Path | None = None,
    size: tuple[int, int] | None = None,
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
) -> Report:
    """What is wrong with a folder of images and labels, with the remedy of each thing; `fix` is a new folder for a mended copy.

    `size` is what images are resized to in training, if not their own; `.sound` of the report tells whether a training would be.
    """
    from intarsia.data.examine import examine, mended

    report = examine(located(data), format=format, size=size, **(data_args or {}))
    if fix is not None:
        mended(report, Path(fix))
    return report


def _opened(data: Data, format: str | None = None, data_args: Mapping[str, Any] | None = None) -> Dataset:
    return data if isinstance(data, Dataset) else open_dataset(data, format=format, **(data_args or {}))


def _options(kind: type[Any], options: Any, changes: Mapping[str, Any]) -> Any:
    """`options`, or the defaults of `kind`, with `changes`; an unknown name raises OptionError with the nearest."""
    known = [field.name for field in fields(kind)]
    for name in changes:
        if name not in known:
            raise OptionError(f"option {name!r}", expected="an option of the command", hint=nearest(name, known))
    if options is None:
        return kind(**changes)
    if not isinstance(options, kind):
        raise OptionError("options", expected=kind.__name__, received=type(options).__name__)
    return replace(options, **changes)


def train(
    data: Data,
    options: TrainOptions | None = None,
    *,
    callbacks: Sequence[Callable[[Mapping[str, float]], None]] = (),
    warn: Callable[[str], None] | None = None,
    quiet: bool = False,
    **changes: Any,
) -> Run:
    """Checks the data, trains a network on it, evaluates it and draws the results: a Run folder, described in `Run`.

    `changes` are fields of TrainOptions: `train(data, model="unet", encoder="mobilenetv2_100", epochs=40)`. Each callback is called
    with the row of an epoch, `warn` with each sentence of the watch, which says what goes wrong.
    """
    from intarsia.engine.training import start

    options = _options(TrainOptions, options, changes)
    dataset = _opened(data, options.format, options.data_args)
    used = {record for split in (options.split, options.val_split) for record in dataset.split(split).records}
    dataset.subset(record for record in dataset.records if record in used).check()
    return start(dataset, options, callbacks=callbacks, warn=warn, quiet=quiet)


def fine_tune(
    source: str | Path | Run,
    data: Data,
    options: FineTuneOptions | None = None,
    *,
    callbacks: Sequence[Callable[[Mapping[str, float]], None]] = (),
    warn: Callable[[str], None] | None = None,
    quiet: bool = False,
    **changes: Any,
) -> Run:
    """Trains a network that has learnt already, any that `load` takes, on other data: classes known by name keep their weights.

    The encoder is frozen for a fifth of the training and then learns at lower rates the earlier its stage; `changes` are fields of
    TrainOptions and override this: `fine_tune("torchvision:lraspp_mobilenet_v3_large", data, epochs=20, freeze=0)`.
    """
    place = source.folder if isinstance(source, Run) else source
    training = _options(FineTuneOptions, options, changes).of(str(place))
    return train(data, training, callbacks=callbacks, warn=warn, quiet=quiet)


def resume(
    run: str | Path | Run,
    *,
    callbacks: Sequence[Callable[[Mapping[str, float]], None]] = (),
    warn: Callable[[str], None] | None = None,
    quiet: bool = False,
) -> Run:
    """Goes on with a run that was killed, with its own options; a finished one is returned as it is."""
    from intarsia.engine.training import go_on

    return go_on(run if isinstance(run, Run) else Run(Path(run)), callbacks=callbacks, warn=warn, quiet=quiet)


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


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _loaded(model: str | Path | Run | Model, **options: Any) -> Model:
    return load(model, **options) if isinstance(model, str | Path | Run) else model


def evaluate(
    model: str | Path | Run | Model,
    data: Data | None = None,
    *,
    split: str = "test",
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
    measures: Measures = (),
    out: str | Path | None = None,
    flip: bool = False,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int = 8,
    workers: int = 0,
) -> Any:
    """The scores of a network on a split, with 95 % intervals; `out` takes them as JSON, with the confusion matrix, a row per image
    and pictures of the worst and some other images. Without `data` it is the data the network's run was trained on.

    `measures` are further ones, counted in the same pass: names, or {"surface": {"spacing": 0.5}, "calibration": {}}; their scores
    are in `.measures` of what is returned.
    """
    from intarsia.engine.results import evaluate_and_draw

    loaded = _loaded(model, device=device, precision=precision, flip=flip)
    dataset = (run_of(model).open_data() if data is None else _opened(data, format, data_args)).split(split)
    dataset.check()
    asked = asked_for(measures)
    return evaluate_and_draw(loaded, dataset, _path(out), split=split, measures=asked, batch_size=batch_size, workers=workers)


def evaluate_folders(
    truth: str | Path,
    prediction: str | Path,
    *,
    classes: str | Path | None = None,
    measures: Measures = (),
    out: str | Path | None = None,
) -> Any:
    """The scores of a folder of label files against another, matched by stem; loads no torch. `measures` and `out` are those of
    `evaluate`, without pictures of images.
    """
    from intarsia.engine.label_folders import evaluate_label_folders

    folders = Path(truth), Path(prediction)
    return evaluate_label_folders(*folders, _path(classes), measures=asked_for(measures), out=_path(out))


def compare(
    a: str | Path | Run | Model,
    b: str | Path | Run | Model,
    data: Data | None = None,
    *,
    split: str = "test",
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
    measures: Measures = (),
    device: str = "auto",
    precision: str = "auto",
) -> Comparison:
    """B against A on the same images: the difference of every score, with its 95 % interval by a paired bootstrap over images.

    Two folders that `evaluate` has written are compared as they are, without torch, by the measures that both hold. Two networks
    are run on `data`; left out, on that of their runs, which must be the same. DataError where images, truth or classes differ.
    """
    from intarsia.engine.compare import compare_saved, is_saved

    if is_saved(a) or is_saved(b):
        if data is not None or measures or not (is_saved(a) and is_saved(b)):
            raise OptionError("compare", expected="two networks, or two saved evaluations alone", received=f"{a}, {b}")
        return compare_saved(Path(str(a)), Path(str(b)))
    from intarsia.engine.compare_models import common_data, compare_models

    dataset = (common_data(a, b) if data is None else _opened(data, format, data_args)).split(split)
    dataset.check()
    first, second = (_loaded(model, device=device, precision=precision) for model in (a, b))
    return compare_models(first, second, dataset, measures=asked_for(measures), sources=(a, b))


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
    from intarsia.engine.predicting import predict_files

    loaded = _loaded(model, device=device, precision=precision, flip=flip)
    return predict_files(loaded, map(Path, [images] if isinstance(images, str | Path) else images), Path(out))


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
    """The networks of the catalogue and the pretrained ones that `load` gets; with `encoder` those alone that can stand on it.

    A row tells parameters and multiply-adds (3 channels in, 11 classes out, 480x360), task, export routes, licences and origin;
    `measure` adds the latency on `device`. `license="commercial"` keeps those whose code is known to allow that use, and
    the weights and data of the pretrained ones too.
    """
    from intarsia.engine.describe import describe_all

    return describe_all(encoder, measure=measure, device=device, license=license)
