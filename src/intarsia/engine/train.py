"""The training loop, to be read from top to bottom."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from intarsia.core.errors import CheckpointError, TrainingDiverged
from intarsia.core.files import write_json
from intarsia.engine.checkpoint import write_tensors
from intarsia.engine.evaluate import evaluate_network
from intarsia.engine.optimisers import set_rate
from intarsia.engine.progress import Progress as ProgressBar
from intarsia.engine.schedules import SCHEDULES, momentum_of_one_cycle
from intarsia.engine.state import Progress, load_state, save_state

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

__all__ = ["accumulated_step", "train"]


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


def averaged(network: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel | None:
    """The exponential moving average of the weights and buffers; the decay grows from 0.1 so that the first steps count less."""
    if not decay:
        return None

    def average(means: Any, news: Any, count: Any) -> None:
        kept = min(decay, (1 + float(count)) / (10 + float(count)))
        if torch.is_floating_point(means[0]):
            torch._foreach_lerp_(means, news, 1 - kept)
        else:
            torch._foreach_copy_(means, news)

    return torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=average, use_buffers=True)


def train(
    data: Dataset,
    parts: Ingredients,
    run: Run,
    *,
    callbacks: Sequence[Callable[[Mapping[str, float]], None]] = (),
    quiet: bool = False,
) -> Run:
    """Trains into `run`, from its state where it has one, and returns it.

    The loop: learning rate, micro-batches, loss, step; after an epoch evaluation, best and last weights, state, callbacks.
    Raises TrainingDiverged where the loss is no number.
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
    started = saved = perf_counter()
    started -= progress.seconds

    def save() -> float:
        progress.seconds = perf_counter() - started
        if main:
            save_state(run.state, modules, parts.optimiser, progress, accelerator.scaler)
        return perf_counter()

    with ProgressBar(options.epochs, steps, quiet=quiet or not main) as bar:
        for epoch, stream in epochs(parts, progress):
            bar.start_epoch(epoch, progress.step)
            parts.network.train()
            while progress.step < steps:
                rate = set_schedule(parts.optimiser, options, (epoch * steps + progress.step) / (options.epochs * steps))
                clock = perf_counter()
                micro = list(islice(stream, options.accumulate))
                waited = perf_counter() - clock
                loss = float(accumulated_step(parts, micro))
                if not isfinite(loss):
                    raise diverged(epoch, progress.step, loss)
                if ema:
                    ema.update_parameters(parts.bare)
                progress.step += 1
                progress.loss_sum += loss
                images = sum(map(len, micro)) * accelerator.num_processes
                bar.step(loss=loss, lr=rate, wait=waited, busy=perf_counter() - clock, images=images)
                if progress.step < steps and state_is_due(options, progress.step, perf_counter() - saved):
                    saved = save()

            row = {"epoch": epoch + 1.0, "loss": progress.loss_sum / steps, "lr": rate}
            table = None
            if (epoch + 1) % options.evaluate_every == 0 or epoch + 1 == options.epochs:
                scores = evaluate_network(
                    kept, val_data, parts.recipe, precision=parts.precision, batch_size=options.batch_size, workers=parts.workers
                ).compute()
                table = str(scores)
                row |= {f"val_{name}": getattr(scores, name) for name in ("pixel_accuracy", "mean_iou", "mean_dice")}
                progress.stale += 1
                if not scores.mean_iou <= progress.best:  # so said, the first is kept even where the score is undefined
                    progress.best, progress.stale = scores.mean_iou, 0
                    if main:
                        keep(kept, parts.recipe, run.best, epoch, scores.mean_iou)
                        write_json(
                            run.folder / "metrics.json", {"split": options.val_split, "epoch": epoch + 1, **scores.to_dict()}
                        )
            row["seconds"] = perf_counter() - started
            progress.rows.append(row)
            progress.epoch, progress.step, progress.loss_sum = epoch + 1, 0, 0.0
            bar.end_epoch(row, table)
            if main:
                keep(kept, parts.recipe, run.last, epoch, row.get("val_mean_iou"))
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


def epochs(parts: Ingredients, progress: Progress) -> Iterator[tuple[int, Iterator[Batch]]]:
    """What is left of the training: each epoch with the stream of its batches, half-size epochs first, until an early stop."""
    options = parts.options
    for phase, half in (
        (range(options.half_size_epochs), True),
        (range(options.half_size_epochs, options.epochs), False),
    ):
        todo = range(max(phase.start, progress.epoch), phase.stop)
        stream = parts.batches(parts.order(todo, progress.step), half=half)
        for epoch in todo:
            if options.early_stop and progress.stale >= options.early_stop:
                return
            yield epoch, stream


def set_schedule(optimiser: torch.optim.Optimizer, options: TrainOptions, done: float) -> float:
    """Sets the learning rate, and with one-cycle the momentum, after the share `done` of all steps; returns the rate."""
    rate = options.lr * SCHEDULES[options.schedule](done, options.warmup)
    set_rate(
        optimiser,
        rate,
        momentum_of_one_cycle(done, options.warmup) if options.schedule == "one_cycle" and options.momentum else None,
    )
    return rate


def state_is_due(options: TrainOptions, step: int, seconds: float) -> bool:
    """Whether the state is to be kept within an epoch: by steps, or by the time since it was kept last."""
    by_steps = options.checkpoint_steps > 0 and step % options.checkpoint_steps == 0
    return by_steps or 0 < options.checkpoint_minutes * 60 < seconds


def diverged(epoch: int, step: int, loss: float) -> TrainingDiverged:
    """The error of a loss that is no number, with what to try."""
    return TrainingDiverged(
        f"epoch {epoch + 1}, step {step + 1}",
        expected="a finite loss",
        received=loss,
        hint="Lower --lr (see `intarsia lr-find`), set --clip-norm 1, or use --precision fp32.",
    )


def tell(callbacks: Sequence[Callable[[Mapping[str, float]], None]], row: Mapping[str, float]) -> None:
    """Each callback, the row of an epoch."""
    for callback in callbacks:
        callback(row)


def keep(network: nn.Module, recipe: Recipe, path: Path, epoch: int, mean_iou: float | None) -> None:
    """A checkpoint whose header also says when it was taken and how well it did."""
    origin = {**recipe.origin, "epoch": epoch + 1, "val_mean_iou": mean_iou}
    write_tensors(path, network.state_dict(), replace(recipe, origin=origin).to_dict())
