"""The training loop, to be read from top to bottom."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from accelerate.utils import broadcast

from intarsia.core.catalogue import find
from intarsia.core.errors import CheckpointError, TrainingDiverged
from intarsia.core.files import write_json
from intarsia.engine.averaging import averaged
from intarsia.engine.checkpoint import write_tensors
from intarsia.engine.evaluate import evaluate_network
from intarsia.engine.optimisers import set_schedule
from intarsia.engine.progress import Progress as ProgressBar
from intarsia.engine.state import Progress, load_state, save_state
from intarsia.engine.watch import never_predicted, news, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from accelerate import Accelerator
    from torch import Tensor, nn

    from intarsia.core import Batch
    from intarsia.data.dataset import Dataset
    from intarsia.engine.ingredients import Ingredients
    from intarsia.engine.options import TrainOptions
    from intarsia.engine.recipe import Recipe
    from intarsia.engine.run import Run

__all__ = ["accumulated_step", "is_over", "train"]

REGIONS = {"dice", "generalised_dice", "lovasz_softmax", "tversky"}
"""Losses in which a small class weighs as much as a large one."""


def accumulated_step(parts: Ingredients, micro: list[Batch]) -> Tensor:
    """Gradients of the micro-batches of all processes, weighted by their labelled pixels, so that the split into micro-batches and
    processes does not move a mean over pixels; then one step. Returns the loss.
    """
    accelerator = parts.accelerator
    counts = torch.stack([(batch.targets.ids[:, 0] >= 0).sum().float() for batch in micro if batch.targets])
    total = accelerator.reduce(counts.sum(), "sum")
    shares = counts * accelerator.num_processes / total.clamp(min=1)  # DDP divides by the number of processes
    summed = torch.zeros((), device=accelerator.device)
    for position, (batch, share) in enumerate(zip(micro, shares, strict=True)):
        last = position == len(micro) - 1
        with nullcontext() if last else accelerator.no_sync(parts.network):
            loss = parts.loss_of(batch) * share
            accelerator.backward(loss)
        summed += loss.detach()
    if parts.options.clip_norm:
        accelerator.clip_grad_norm_(parts.network.parameters(), parts.options.clip_norm)
    parts.optimiser.step()
    parts.optimiser.zero_grad()
    mean: Tensor = accelerator.reduce(summed, "mean")
    return mean


def train(
    data: Dataset,
    parts: Ingredients,
    run: Run,
    *,
    callbacks: Sequence[Callable[[Mapping[str, float]], None]] = (),
    warn: Callable[[str], None] | None = None,
    quiet: bool = False,
) -> Run:
    """Trains into `run`, from its state where it has one, and returns it.

    The loop: learning rate, micro-batches, loss, step; after an epoch evaluation, best and last weights, the watch, state,
    callbacks. `warn` is called with what the watch finds. Raises TrainingDiverged where the loss is no number.
    """
    accelerator, options = parts.accelerator, parts.options
    main = accelerator.is_main_process
    val_data = data.split(options.val_split)
    ema = averaged(parts.bare, options.ema)
    kept: nn.Module = ema.module if ema else parts.bare  # the weights that are evaluated and given away
    modules = {"network": parts.bare, **({"ema": ema} if ema else {})}
    progress = Progress(processes=accelerator.num_processes)
    if run.state.exists():
        progress = load_state(run.state, modules, parts.optimiser, accelerator.scaler)
        same_processes(run, progress, accelerator)
    callbacks = callbacks if main else ()
    for row in progress.rows:  # trackers begin anew, so that none holds an epoch twice
        tell(callbacks, row)
    steps = parts.order(range(1)).steps_per_epoch
    metric = find("metrics", parts.recipe.task)
    started = saved = perf_counter()
    started -= progress.seconds

    def save() -> float:
        progress.seconds = perf_counter() - started
        if main:
            save_state(run.state, modules, parts.optimiser, progress, accelerator.scaler)
        return perf_counter()

    left = None if options.minutes is None else 60 * options.minutes - progress.trained
    with ProgressBar(options.epochs, steps, seconds=left, quiet=quiet or not main) as bar:
        parts.tell = bar.say
        for note in parts.notes:
            bar.say(note)
        for epoch, stream in epochs(parts, progress, steps):
            bar.start_epoch(epoch, progress.step)
            done = progress.done(options, steps)
            parts.begin(done)
            while progress.step < steps and done < 1:
                rate = set_schedule(parts.optimiser, options, done)
                parts.anneal(done)
                clock = perf_counter()
                micro = list(islice(stream, options.accumulate))
                waited = perf_counter() - clock
                loss = float(accumulated_step(parts, micro))
                if not isfinite(loss):
                    raise diverged(run.folder, progress, loss)
                if ema:
                    ema.update_parameters(parts.bare)
                progress.step += 1
                progress.loss_sum += loss
                busy = perf_counter() - clock
                progress.trained += agreed(accelerator, busy) if options.minutes else busy
                images = sum(map(len, micro)) * accelerator.num_processes
                bar.step(loss=loss, lr=rate, wait=waited, busy=busy, images=images)
                frozen, done = done < options.freeze, progress.done(options, steps)
                if frozen and done >= options.freeze:
                    parts.begin(done)
                if progress.step < steps and done < 1 and state_is_due(options, progress.step, perf_counter() - saved):
                    saved = save()

            if not all(bool(tensor.isfinite().all()) for tensor in parts.bare.parameters()):
                progress.step -= 1  # the last one spoilt the weights: they are neither scored nor kept
                raise diverged(run.folder, progress, "weights that are no numbers")
            row = {"epoch": epoch + 1.0, "loss": progress.loss_sum / progress.step, "lr": rate}
            table = None
            if (epoch + 1) % options.evaluate_every == 0 or done == 1:
                scores = evaluate_network(
                    kept, val_data, parts.recipe, precision=parts.precision, batch_size=options.batch_size, workers=parts.workers
                ).compute()
                table = str(scores)
                row |= {f"val_{name}": scores[name] for name in metric.told}
                progress.unpredicted.append(scores.unpredicted())
                progress.stale += 1
                if not scores[metric.headline] <= progress.best:  # so said, the first is kept even where the score is undefined
                    progress.best, progress.stale = scores[metric.headline], 0
                    if main:
                        keep(kept, parts.recipe, run.best, epoch, row, metric.headline)
                        write_json(
                            run.folder / "metrics.json", {"split": options.val_split, "epoch": epoch + 1, **scores.to_dict()}
                        )
            row |= {"wait": bar.wait_share, "seconds": perf_counter() - started}
            progress.rows.append(row)
            progress.epoch, progress.step, progress.loss_sum = epoch + 1, 0, 0.0
            bar.end_epoch(row, table)
            if main:
                past = 1.0 if is_over(options, progress, done) else done
                found = watch(progress.rows, metric.headline)
                if table is not None:  # between evaluations the latest is of an earlier stage than `past`
                    found |= never_predicted(progress.unpredicted, past, parts.class_shares, tried(options))
                for text in news(found, progress.told, epoch + 1, run.folder):
                    bar.say(f"watch: {text}")
                    if warn:
                        warn(text)
                keep(kept, parts.recipe, run.last, epoch, row, metric.headline)
            saved = save()
            tell(callbacks, row)
    accelerator.wait_for_everyone()
    return run


def same_processes(run: Run, progress: Progress, accelerator: Accelerator) -> None:
    """CheckpointError where a run is resumed by another number of processes; else each but the first gets its own random state."""
    if progress.processes != accelerator.num_processes:
        raise CheckpointError(
            str(run.folder), expected=f"{progress.processes} processes, as it was started", received=accelerator.num_processes
        )
    if not accelerator.is_main_process:
        torch.manual_seed(hash((progress.epoch, progress.step, accelerator.process_index)))


def agreed(accelerator: Accelerator, seconds: float) -> float:
    """The seconds of the first process, for all to stop at the same step."""
    if accelerator.num_processes == 1:
        return seconds
    told: Tensor = broadcast(torch.tensor(seconds, dtype=torch.float64).to(accelerator.device))
    return float(told)


def epochs(parts: Ingredients, progress: Progress, steps: int) -> Iterator[tuple[int, Iterator[Batch]]]:
    """What is left of the training: each epoch with the stream of its batches, half-size ones first, until an early stop or the end
    of the time."""
    options = parts.options
    for half in (True, False):
        todo = range(progress.epoch, options.epochs)
        stream = parts.batches(parts.order(todo, progress.step), half=half)
        for epoch in todo:
            done = progress.done(options, steps)
            if is_over(options, progress, done):
                return
            if progress.step == 0:  # within an epoch the size stays
                progress.half = progress.half and done < options.half_size
            if progress.half != half:
                break
            yield epoch, stream


def is_over(options: TrainOptions, progress: Progress, done: float) -> bool:
    """Whether the training ends after this epoch; while the encoder is frozen, early stopping waits."""
    return done == 1 or (0 < options.early_stop <= progress.stale and done >= options.freeze)


def state_is_due(options: TrainOptions, step: int, seconds: float) -> bool:
    """Whether the state is to be kept within an epoch: by steps, or by the time since it was kept last."""
    by_steps = options.checkpoint_steps > 0 and step % options.checkpoint_steps == 0
    return by_steps or 0 < options.checkpoint_minutes * 60 < seconds


def tried(options: TrainOptions) -> list[str]:
    """The remedies for a class that is never predicted that this training has already."""
    given = {
        "class_weights": options.class_weights != "none",
        "rare_crops": options.rare_crops > 0,
        "regions": bool(REGIONS & options.loss.keys()),
    }
    return [name for name, has in given.items() if has]


def diverged(folder: Path, progress: Progress, received: float | str) -> TrainingDiverged:
    """The error of a loss or of weights that are no numbers, with what to try and what is left."""
    kept = (
        f" Epoch {progress.epoch} was the last with a finite loss: where metrics.csv says that it was still good, go on from its "
        f"weights by --start-from {folder}/weights/last.safetensors; `intarsia resume` would meet the same loss again."
        if progress.epoch
        else ""
    )
    return TrainingDiverged(
        f"epoch {progress.epoch + 1}, step {progress.step + 1}",
        expected="a finite loss",
        received=received,
        hint=f"Lower --lr (see `intarsia lr-find`), set --clip-norm 1, or use --precision fp32.{kept}",
    )


def tell(callbacks: Sequence[Callable[[Mapping[str, float]], None]], row: Mapping[str, float]) -> None:
    """Each callback, the row of an epoch."""
    for callback in callbacks:
        callback(row)


def keep(network: nn.Module, recipe: Recipe, path: Path, epoch: int, row: Mapping[str, float], headline: str) -> None:
    """A checkpoint whose header also says when it was taken and how well it did, where it was evaluated."""
    origin = {**recipe.origin, "epoch": epoch + 1, f"val_{headline}": row.get(f"val_{headline}")}
    write_tensors(path, network.state_dict(), replace(recipe, origin=origin).to_dict())
