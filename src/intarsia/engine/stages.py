"""Which part of a network learns, when and how fast: the stages of its encoder, freezing, and batch norms that keep still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from intarsia.core.errors import OptionError

if TYPE_CHECKING:
    from intarsia.engine.options import TrainOptions

__all__ = ["encoder_stages", "learn", "rate_factors"]


def encoder_stages(encoder: nn.Module) -> dict[str, int]:
    """The stage of each parameter of an encoder, 0 the first.

    Of an encoder of timm a stage ends with the module that gives a level of features (its `feature_info`), in the order in which
    the modules are registered; the stem belongs to the first. Of another encoder the stages are its blocks in that order, evenly
    merged where they are more than its levels.

    >>> from intarsia.models.encoders.contracting import Contracting
    >>> sorted(set(encoder_stages(Contracting(3, (4, 8, 16))).values()))
    [0, 1, 2]
    """
    modules = [_spelled(name) for name, _ in encoder.named_modules()]
    ends = [_last(modules, end) for end in _feature_modules(encoder)]
    if ends and None not in ends:
        owner = {_spelled(name): place for place, (name, _) in enumerate(encoder.named_modules())}
        return {
            name: min(sum(end < owner[_spelled(name.rpartition(".")[0])] for end in ends if end is not None), len(ends) - 1)
            for name, _ in encoder.named_parameters()
        }
    prefix, inner = "", encoder
    while len(children := [(name, child) for name, child in inner.named_children() if any(True for _ in child.parameters())]) == 1:
        prefix, inner = f"{prefix}{children[0][0]}.", children[0][1]
    blocks = {f"{prefix}{name}.": place for place, (name, _) in enumerate(children)}
    levels = min(len(blocks), len(getattr(encoder, "channels", blocks))) or 1
    return {
        name: next((place * levels // len(blocks) for block, place in blocks.items() if name.startswith(block)), 0)
        for name, _ in encoder.named_parameters()
    }


def rate_factors(network: nn.Module, options: TrainOptions) -> dict[str, float]:
    """How many times the learning rate each parameter learns at: 1 outside the encoder; within, `encoder_lr_factor` times
    `layer_decay` for each stage that follows; 0 for what never learns.

    Raises OptionError where the options speak of an encoder and the network has none.
    """
    encoder = _encoder(network, options)
    if encoder is None:
        return {name: 1.0 for name, _ in network.named_parameters()}
    stages = encoder_stages(encoder)
    last = max(stages.values(), default=0)
    still = _norm_parameters(encoder) if options.freeze_norm else set()
    factors = {
        f"encoder.{name}": 0.0 if name in still else options.encoder_lr_factor * options.layer_decay ** (last - stage)
        for name, stage in stages.items()
    }
    return {name: factors.get(name, 1.0) for name, _ in network.named_parameters()}


def learn(network: nn.Module, options: TrainOptions, done: float) -> bool:
    """Puts the network into the mode in which it learns once `done`, a share, of the training is done, and tells whether other
    parameters learn than before.

    A frozen encoder runs in evaluation mode as a whole: its batch norms normalise by the statistics that they came with and do not
    move them, its dropout does nothing. With `freeze_norm` the batch norms of the encoder do so throughout.
    """
    frozen = options.encoder_lr_factor == 0 or done < options.freeze
    factors = rate_factors(network, options)
    network.train()
    if (encoder := _encoder(network, options)) is not None:
        encoder.train(not frozen)
        if options.freeze_norm:
            for module in filter(_is_norm, encoder.modules()):
                module.eval()
    changed = False
    for name, parameter in network.named_parameters():
        learns = factors[name] > 0 and not (frozen and name.startswith("encoder."))
        changed = changed or parameter.requires_grad != learns
        parameter.requires_grad_(learns)
    return changed


def _encoder(network: nn.Module, options: TrainOptions) -> nn.Module | None:
    """The part called `encoder`, or None; OptionError where there is none and an option asks for it."""
    encoder = getattr(network, "encoder", None)
    if isinstance(encoder, nn.Module):
        return encoder
    asked = {
        "--freeze": options.freeze > 0,
        "--freeze-norm": options.freeze_norm,
        "--layer-decay": options.layer_decay != 1,
        "--encoder-lr-factor": options.encoder_lr_factor != 1,
    }
    for flag, given in asked.items():
        if given:
            raise OptionError(flag, expected="a network with a part called `encoder`", received=type(network).__name__)
    return None


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm)


def _norm_parameters(encoder: nn.Module) -> set[str]:
    """The names of scale and shift of all batch norms."""
    return {
        f"{name}.{own}" if name else own
        for name, module in encoder.named_modules()
        if _is_norm(module)
        for own, _ in module.named_parameters(recurse=False)
    }


def _feature_modules(encoder: nn.Module) -> list[str]:
    """The modules that give timm's features, finest first; none for an encoder that is not timm's."""
    info: Any = getattr(getattr(encoder, "network", None), "feature_info", None)
    if info is None:
        return []
    names = [level["module"] for level in info] if isinstance(info, list) else info.module_name()  # of a whole ViT, of levels
    return [_spelled(f"network.{name}") for name in names]


def _spelled(name: str) -> str:
    """timm flattens `stages.0` to `stages_0` and wraps some networks in `model`; both are seen through."""
    return name.replace("network.model.", "network.", 1).replace(".", "_")


def _last(modules: list[str], name: str) -> int | None:
    """The place of the last module that is `name` or within it."""
    places = [place for place, module in enumerate(modules) if module == name or module.startswith(f"{name}_")]
    return max(places, default=None)
