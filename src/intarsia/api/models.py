"""Networks that have learnt: loaded, listed, measured, compared, put to use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from intarsia.api._arguments import opened
from intarsia.core.errors import OptionError
from intarsia.engine.measures import asked_for
from intarsia.engine.recipe import losses_of
from intarsia.engine.run import Run, run_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from intarsia.api._arguments import Data, Measures
    from intarsia.engine.compare import Comparison
    from intarsia.engine.network import Model

__all__ = ["compare", "evaluate", "evaluate_folders", "list_models", "load", "predict"]

SETS = {"mask_set", "prototype_masks", "regions"}
"""The losses of networks that answer with a set of objects."""


def list_models(
    encoder: str | None = None, *, measure: bool = False, device: str = "auto", license: str | None = None
) -> list[dict[str, Any]]:
    """The networks of the catalogue and the pretrained ones that `load` gets; with `encoder` those alone that can stand on it.

    A row tells parameters and multiply-adds (3 channels in, 11 classes out, 480x360), task, export routes, licences and origin;
    `measure` adds the latency on `device`. `license="commercial"` keeps those whose code is known to allow that use, and
    the weights of the pretrained ones too.
    """
    from intarsia.engine.describe import describe_all

    return describe_all(encoder, measure=measure, device=device, license=license)


def load(
    source: str | Path | Run,
    *,
    file: str | Path | None = None,
    task: str | None = None,
    decode_args: Mapping[str, Any] | None = None,
    device: str = "auto",
    precision: str = "auto",
    flip: bool = False,
) -> Model:
    """A trained network: from a run folder (its best weights), a checkpoint, a folder of `save_pretrained`, or one that others have
    trained: `torchvision:NAME` (downloaded, or from a `file` of yours), `hf:org/name` or a folder of a transformers model.

    `load(run.best).predict("street.jpg").save("street.png")`. With `flip` answers are averaged with those for the mirror image,
    of networks that score each pixel; `task` asks a network that can answer several, such as `semantic` of a panoptic one, and
    `decode_args` are thresholds.
    """
    from intarsia.engine.network import Model

    place = source.folder if isinstance(source, Run) else source
    return _mirrored(
        Model.from_pretrained(place, file=file, task=task, decode_args=decode_args, device=device, precision=precision, flip=flip)
    )


def predict(
    model: str | Path | Run | Model,
    images: str | Path | Sequence[str | Path],
    *,
    out: str | Path = "predictions",
    task: str | None = None,
    decode_args: Mapping[str, Any] | None = None,
    min_score: float | None = None,
    spacing: tuple[float, ...] | None = None,
    flip: bool = False,
    device: str = "auto",
    precision: str = "auto",
) -> list[Path]:
    """For each image, or each image of a folder, STEM_overlay.png in `out` and a map, which is returned, and what programs read.

    semantic: STEM.png with class ids, and classes.json. instance: STEM.png with numbers of objects, instances.json in COCO's form,
    objects.csv, a row for each. panoptic: panoptic/STEM.png and panoptic.json in COCO's form, objects.csv. Segments of less than
    `min_score` are left out, by default instances of less than 0.5. `spacing`, mm a pixel along each axis, gives the table areas in
    mm²; a GeoTIFF knows its own.
    """
    from intarsia.engine.predicting import predict_files

    loaded = _loaded(model, task, decode_args, device=device, precision=precision, flip=flip)
    return predict_files(
        loaded, map(Path, [images] if isinstance(images, str | Path) else images), Path(out), min_score=min_score, spacing=spacing
    )


def evaluate(
    model: str | Path | Run | Model,
    data: Data | None = None,
    *,
    split: str = "test",
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
    measures: Measures = (),
    out: str | Path | None = None,
    task: str | None = None,
    decode_args: Mapping[str, Any] | None = None,
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

    loaded = _loaded(model, task, decode_args, device=device, precision=precision, flip=flip)
    dataset = (run_of(model).open_data() if data is None else opened(data, format, data_args)).split(split)
    dataset.check()
    asked = asked_for(measures)
    return evaluate_and_draw(loaded, dataset, _path(out), split=split, measures=asked, batch_size=batch_size, workers=workers)


def evaluate_folders(
    truth: str | Path,
    prediction: str | Path,
    *,
    classes: str | Path | None = None,
    task: str = "semantic",
    split: str = "test",
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
    measures: Measures = (),
    out: str | Path | None = None,
) -> Any:
    """The scores of a folder of label files against another, matched by stem; loads no torch. `measures` and `out` are those of
    `evaluate`, without pictures of images.

    With `task` "instance" or "panoptic" `truth` is a data set of objects, of which `split` is taken where it has splits, and
    `prediction` what `predict` has written, or another data set.
    """
    from intarsia.engine.label_folders import evaluate_label_folders

    return evaluate_label_folders(
        Path(truth),
        Path(prediction),
        _path(classes),
        task=task,
        split=split,
        format=format,
        data_args=data_args,
        measures=asked_for(measures),
        out=_path(out),
    )


def compare(
    a: str | Path | Run | Model,
    b: str | Path | Run | Model,
    data: Data | None = None,
    *,
    split: str = "test",
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
    measures: Measures = (),
    task: str | None = None,
    decode_args: Mapping[str, Any] | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> Comparison:
    """B against A on the same images: the difference of every score, with its 95 % interval by a paired bootstrap over images.

    Two folders that `evaluate` has written are compared as they are, without torch, by the measures that both hold. Two networks
    are run on `data`; left out, on that of their runs, which must be the same. DataError where images, truth or classes differ,
    OptionError where the two are asked different tasks: `task` asks both the same.
    """
    from intarsia.engine.compare import compare_saved, is_saved

    if is_saved(a) or is_saved(b):
        told = data is not None or measures or format or data_args or split != "test" or task or decode_args
        if told or not (is_saved(a) and is_saved(b)):
            raise OptionError("compare", expected="two networks, or two saved evaluations alone", received=f"{a}, {b}")
        return compare_saved(Path(str(a)), Path(str(b)))
    from intarsia.engine.compare_models import common_data, compare_models

    dataset = (common_data(a, b) if data is None else opened(data, format, data_args)).split(split)
    first, second = (_loaded(model, task, decode_args, device=device, precision=precision) for model in (a, b))
    return compare_models(first, second, dataset, measures=asked_for(measures), sources=(a, b))


def _loaded(
    model: str | Path | Run | Model,
    task: str | None,
    decode_args: Mapping[str, Any] | None,
    *,
    device: str,
    precision: str,
    flip: bool = False,
) -> Model:
    """The model as it is asked. One that is there already stays as it is, but for what is told; it is not moved to another device:
    OptionError.
    """
    if isinstance(model, str | Path | Run):
        return load(model, task=task, decode_args=decode_args, device=device, precision=precision, flip=flip)
    from intarsia.engine.devices import device_named
    from intarsia.engine.network import Model

    wanted, held = device_named(device), next(model.network.parameters()).device
    if device != "auto" and (wanted.type != held.type or wanted.index not in (None, held.index)):
        hint = "Load it there: load(..., device=...)."
        raise OptionError("--device", expected=f"{held}, where this Model is", received=repr(device), hint=hint)
    if task or decode_args or precision != "auto" or flip:
        model = Model(
            model.network,
            model.recipe,
            task=task,
            decode_args=decode_args,
            device=str(model.device),
            precision=model.precision if precision == "auto" else precision,
            flip=flip or model.flip,
        )
    return _mirrored(model)


def _mirrored(model: Model) -> Model:
    """The model; OptionError where it answers with a set of objects and is to average two of them, which have no mean."""
    if model.flip and (found := SETS & losses_of(model.recipe.model).keys()):
        name = model.recipe.model
        raise OptionError(
            "--flip", expected="a network that scores each pixel", received=f"{name}, which is trained with {', '.join(found)}"
        )
    return model


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
