"""How scores are called in pictures and sentences."""

from __future__ import annotations

__all__ = ["spelled"]

SHORT = {"iou": "IoU", "hd95": "HD95", "f1": "F1", "pq": "PQ", "sq": "SQ", "rq": "RQ", "ap": "AP", "ap50": "AP50", "ap75": "AP75",
         "ar": "AR", "mae": "MAE", "r2": "R²"}  # fmt: skip


def spelled(score: str) -> str:
    """The name of a score for people.

    >>> spelled("mean_iou"), spelled("class_pq")
    ('mean IoU', 'PQ')
    """
    return " ".join(SHORT.get(word, word) for word in score.removeprefix("class_").split("_"))
