"""The losses against MONAI, segmentation_models.pytorch and torchvision, where these define the same."""

from __future__ import annotations

import monai.losses as monai
import pytest
import segmentation_models_pytorch.losses as smp
import torch
from torchvision.ops import sigmoid_focal_loss

from intarsia.losses.boundary import boundary_loss
from intarsia.losses.cldice import cldice_loss
from intarsia.losses.cross_entropy import cross_entropy_loss
from intarsia.losses.dice import dice_loss
from intarsia.losses.focal import focal_loss
from intarsia.losses.generalised_dice import generalised_dice_loss
from intarsia.losses.hausdorff import hausdorff_loss
from intarsia.losses.lovasz_softmax import lovasz_softmax_loss
from intarsia.losses.tversky import tversky_loss

CLASSES, VOID = 4, 255
MONAI = {"to_onehot_y": True, "softmax": True}
VOLUME = pytest.mark.parametrize("size", [(6, 7), (4, 5, 6)])


def case(size: tuple[int, ...] = (6, 7), void: bool = False, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Random logits, and labels that hold each class."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(batch, CLASSES, *size, generator=generator)
    labels = torch.randint(-1 if void else 0, CLASSES, (batch, *size), generator=generator)
    return logits.requires_grad_(), labels


def check(ours: torch.Tensor, theirs: torch.Tensor, logits: torch.Tensor, tolerance: float = 1e-5) -> None:
    """The same value, and the same gradient."""
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    gradients = [torch.autograd.grad(value, logits)[0] for value in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=100 * tolerance, atol=tolerance)


def smp_labels(labels: torch.Tensor) -> torch.Tensor:
    return labels.where(labels >= 0, VOID)


# -- segmentation_models.pytorch ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_smps(smoothing: float) -> None:
    logits, labels = case()
    theirs = smp.SoftCrossEntropyLoss(smooth_factor=smoothing)(logits, labels)
    check(cross_entropy_loss(logits, labels, smoothing=smoothing), theirs, logits)


@pytest.mark.parametrize("smooth", [0.0, 3.0])
def test_dice_is_smps(smooth: float) -> None:
    logits, labels = case(void=True)
    theirs = smp.DiceLoss("multiclass", smooth=smooth, ignore_index=VOID)(logits, smp_labels(labels))
    check(dice_loss(logits, labels, 2 * smooth), theirs, logits)  # theirs stands at half of each term


def test_tversky_is_smps() -> None:
    logits, labels = case(void=True)
    theirs = smp.TverskyLoss("multiclass", smooth=1.0, ignore_index=VOID, alpha=0.2, beta=0.6)(logits, smp_labels(labels))
    check(tversky_loss(logits, labels, 0.2, 0.6), theirs, logits)


def test_focal_tversky_of_one_class_is_smps() -> None:
    """Theirs takes the power of the mean over the classes; of one class it is that of each."""
    logits, labels = case()
    labels = torch.zeros_like(labels)
    theirs = smp.TverskyLoss("multiclass", classes=[0], smooth=1.0, alpha=0.3, beta=0.7, gamma=0.75)(logits, labels)
    check(tversky_loss(logits, labels, gamma=4 / 3), theirs, logits)


@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("void", [False, True])
def test_lovasz_softmax_is_smps(per_image: bool, void: bool) -> None:
    logits, labels = case((20, 21), void)
    theirs = smp.LovaszLoss("multiclass", per_image=per_image, ignore_index=VOID)(logits, smp_labels(labels))
    check(lovasz_softmax_loss(logits, labels, per_image=per_image), theirs, logits)


# -- MONAI -------------------------------------------------------------------------------------------------------------------


@VOLUME
def test_dice_and_cross_entropy_are_monais(size: tuple[int, ...]) -> None:
    logits, labels = case(size)
    theirs = monai.DiceCELoss(**MONAI, batch=True, smooth_nr=1.0, smooth_dr=1.0)(logits, labels[:, None])
    check(dice_loss(logits, labels) + cross_entropy_loss(logits, labels), theirs, logits)


@VOLUME
def test_dice_of_each_image_is_monais(size: tuple[int, ...]) -> None:
    logits, labels = case(size)
    theirs = monai.DiceLoss(**MONAI, smooth_nr=1.0, smooth_dr=1.0)(logits, labels[:, None])
    check(dice_loss(logits, labels, present_only=False, per_image=True), theirs, logits)


@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize(("power", "name"), [(2, "square"), (1, "simple"), (0, "uniform")])
def test_generalised_dice_is_monais(per_image: bool, power: float, name: str) -> None:
    logits, labels = case()
    labels[labels == 3] = 0  # absent: the largest of the other weights
    theirs = monai.GeneralizedDiceLoss(**MONAI, batch=not per_image, w_type=name, smooth_nr=0, smooth_dr=0)(logits, labels[:, None])
    check(generalised_dice_loss(logits, labels, power, 0, present_only=False, per_image=per_image), theirs, logits)


@VOLUME
def test_tversky_of_each_image_is_monais(size: tuple[int, ...]) -> None:
    logits, labels = case(size)
    theirs = monai.TverskyLoss(**MONAI, alpha=0.3, beta=0.7, smooth_nr=1.0, smooth_dr=1.0)(logits, labels[:, None])
    check(tversky_loss(logits, labels, present_only=False, per_image=True), theirs, logits)


@pytest.mark.parametrize("alpha", [None, (0.1, 0.2, 0.3, 0.4)])
def test_focal_is_monais(alpha: tuple[float, ...] | None) -> None:
    logits, labels = case()
    theirs = monai.FocalLoss(to_onehot_y=True, use_softmax=True, gamma=1.5, alpha=alpha)(logits, labels[:, None])
    check(focal_loss(logits, labels, 1.5, alpha), CLASSES * theirs, logits)  # theirs is the mean over the channels as well


def test_focal_of_one_class_is_torchvisions() -> None:
    logits, labels = case()
    labels = labels % 2  # 1 is none of the one class
    part = torch.cat([logits[:, :1], torch.zeros_like(logits[:, :1])], dim=1)
    theirs = sigmoid_focal_loss(logits[:, 0], 1.0 - labels, alpha=0.25, gamma=2, reduction="mean")
    check(focal_loss(part, labels, 2, (0.25, 0.75)), theirs, logits)


@VOLUME
def test_boundary_is_monais(size: tuple[int, ...]) -> None:
    logits, labels = case(size)
    check(boundary_loss(logits, labels, present_only=False), monai.BoundaryLoss(**MONAI)(logits, labels[:, None]), logits)


@VOLUME
@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_hausdorff_is_monais(size: tuple[int, ...], alpha: float) -> None:
    logits, labels = case(size)
    theirs = monai.HausdorffDTLoss(**MONAI, include_background=True, alpha=alpha)(logits, labels[:, None])
    check(hausdorff_loss(logits, labels, alpha, present_only=False), theirs, logits)


@pytest.mark.parametrize("size", [(12, 17), (7, 8, 9)])
def test_cldice_of_one_class_is_monais(size: tuple[int, ...]) -> None:
    logits, labels = case(size)
    labels = (labels > 1).long()
    part = torch.cat([torch.zeros_like(logits[:, :1]), logits[:, :1]], dim=1)
    theirs = monai.SoftclDiceLoss(iter_=2, smooth_nr=1.0, smooth_dr=1.0)(logits[:, :1].sigmoid(), labels[:, None].float())
    ours = cldice_loss(part, labels, 2, classes=[1], per_image=True)
    check(ours, theirs, logits, tolerance=2e-4)  # newer ones add 1e-4 below
