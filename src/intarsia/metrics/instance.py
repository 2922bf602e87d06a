"""Whether objects are found, each one: mask AP and box AP as COCO defines them (Lin et al. 2014, arXiv 1405.0312)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from intarsia.metrics._counted import check_pair
from intarsia.metrics._detections import Detections, Pairs, names
from intarsia.ops.boxes import box_extents, shared_extents
from intarsia.ops.object_overlaps import object_overlaps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments
    from intarsia.metrics._scores import Scores

__all__ = ["Instance"]


class Instance(Detections):
    """Average precision and average recall of masks and of boxes, over IoUs from 0.5 to 0.95.

    At each of ten IoUs t = 0.5, 0.55 .. 0.95 the detections of a class choose objects, the surest first: each takes the free object
    of its class that it overlaps most, where that IoU is at least t, and is then right; the others are false alarms. Over all
    images, the surest first:

        AP at t = mean over r = 0, 0.01 .. 1 of the best precision at a recall of r or more
        AR at t = the recall of all detections
        AP, AR  = means over the ten t and over the classes with objects; AP50 and AP75 at one t alone

    The numbers are those of pycocotools; boxes are float32 here, so that an IoU that is exactly a threshold may fall elsewhere:

    - Only things are scored, or all classes where there are no things; of each class and image the `max_detections` surest
      detections, and in mask_ar_1 and mask_ar_10 the surest one and ten.
    - A crowd may be matched any number of times, by the detection's share within it, and is never missed; nor is an object outside
      of a range of areas: small is up to 32 x 32 pixels, large from 96 x 96 on. A detection matched to either is left out, as is
      one that is not matched and lies outside of the range itself. An object's area is that of its file, else its pixels.
    - Boxes are those that file and network give, else those of the masks; a detection's area is then that of its box.
    - Of equal scores the earlier row goes first, then the earlier image, by its key.
    - A detection without pixels is a false alarm. An object without pixels is a miss.

    Void is ours, as COCO has none: a detection loses its pixels in the void of the truth, one that lies there whole is left out,
    and so is an object of such an image without pixels. A class without objects is nan and in no mean, as is a range of areas.

    An update is a whole image: tiles cut objects in two.

    >>> from intarsia.core import ClassSet, Segments
    >>> truth = Segments([[[1, 1, 1, 1, 0, 2, 2, 2]]], [0, 0])
    >>> guess = Segments([[[1, 1, 1, 0, 2, 3, 3, 3]]], [0, 0, 0], scores=[0.9, 0.8, 0.7])
    >>> metric = Instance(ClassSet(("car",), things=("car",)))
    >>> metric.update(truth, guess)  # IoU 3/4 and 1, and a false alarm between them: up to t = 0.75 precision is 1, then 2/3
    >>> scores = metric.compute()
    >>> round(scores["mask_ap50"], 3), round(scores["mask_ar"], 3)
    (0.835, 0.8)
    """

    kinds: ClassVar[tuple[str, ...]] = ("mask", "box")
    perfect: ClassVar[dict[str, float]] = dict.fromkeys((*names("mask"), *names("box")), 1.0)
    headline: ClassVar[str] = "mask_ap"
    told: ClassVar[tuple[str, ...]] = ("mask_ap", "mask_ap50", "box_ap")
    by_class: ClassVar[tuple[str, ...]] = tuple(f"class_{kind}_{score}" for kind in kinds for score in ("ap", "ap50", "ar"))

    def __init__(
        self,
        classes: ClassSet,
        *,
        max_detections: int = 100,
        keys: Iterable[str] = (),
        counts: Iterable[NDArray[Any]] | None = None,
    ) -> None:
        """Empty, or from another's `keys` and `counts`: of each update the rows, an object or a detection each."""
        super().__init__(classes, keys, counts, {"max_detections": max_detections})

    def update(self, truth: Segments, prediction: Segments, key: str = "") -> None:
        """Count one image; both hold class indices of `classes`. Raises InvalidNoun for other sizes or classes."""
        check_pair(truth, prediction, self.classes, key)
        pixels = object_overlaps(truth, prediction)
        pairs = Pairs(truth, prediction, pixels, self._things, self.options["max_detections"])
        boxes, others = truth.boxes, (_known(prediction, truth) if pixels.void.any() else prediction).boxes
        extents = box_extents(others)
        masks = pairs.overlap(pixels.shared, pixels.truth, pixels.prediction)
        overlaps = masks, pairs.overlap(shared_extents(boxes, others), box_extents(boxes), extents)
        self._add(key, self._rows(truth, prediction, pairs, overlaps, (pixels.prediction, extents)))

    def compute(self, intervals: int = 1000, seed: int = 0) -> Scores:
        """The scores so far, with bootstrap intervals from that many draws of the images (0 for none, none for a single image).

        Raises IntarsiaError when nothing was counted.
        """
        about = f"instance: AP and AR are 0..1, of up to {self.options['max_detections']} detections of each class and image"
        return self._computed(about, intervals, seed)


def _known(prediction: Segments, truth: Segments) -> Segments:
    """Without the pixels in the void of the truth; boxes that the network gave stay."""
    return prediction.with_ids(prediction.ids * ~truth.void, same_pixels=True)
