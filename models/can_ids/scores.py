"""The score of a verdict, what it means, and where to put the threshold.

The score is the integer margin of the best attack logit over the benign logit, in gateware as in numpy.
A margin of 0 is benign, because argmax gives ties to the lowest index.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.can_ids.frames import Attack

__all__ = ["FRAMES_PER_SECOND", "Calibration", "calibrate", "calibration_error", "margins", "verdicts"]

#: The bus of the HCRL drive, which rates of false alarms are stated for.
FRAMES_PER_SECOND = 1_950
FRAMES_PER_HOUR = FRAMES_PER_SECOND * 3600
#: The share of benign margins whose excess the tail is fitted to.
TAIL_SHARE = 0.002
NEWTON_STEPS = 50


def margins(logits: np.ndarray) -> np.ndarray:
    """Best attack logit less benign logit, per row."""
    return logits[:, 1:].max(axis=1) - logits[:, Attack.BENIGN]


def verdicts(logits: np.ndarray, threshold: int = 1) -> np.ndarray:
    """The best attack class where its margin reaches the threshold; a threshold of 1 is plain argmax."""
    best = 1 + logits[:, 1:].argmax(axis=1)
    return np.where(margins(logits) >= threshold, best, int(Attack.BENIGN)).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """`P(attack) = 1 / (1 + exp(-(slope * margin + intercept)))`, and the threshold of one alarm an hour."""

    slope: float
    intercept: float
    threshold: int  #: margin at which at most one benign frame an hour is expected to raise an alarm
    benign_rows: int  #: rows of validation that the threshold rests on

    def probability(self, margin: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-np.clip(self.slope * margin + self.intercept, -50, 50)))


def calibrate(logits: np.ndarray, attacked: np.ndarray, disturbed: np.ndarray | None = None) -> Calibration:
    """From rows of validation blocks, which no weight was trained on.

    `disturbed` are logits of the benign ones with a payload bit wrong in every frame: the threshold must hold
    for them too where validation minutes follow training minutes and show less news than an hour does.
    """
    margin = margins(logits)
    slope, intercept = _logistic(margin.astype(float), attacked)
    benign = margin[~attacked]
    return Calibration(
        slope=round(slope, 6),
        intercept=round(intercept, 6),
        threshold=max(_threshold(benign), 1 if disturbed is None else _threshold(margins(disturbed))),
        benign_rows=len(benign),
    )


def _logistic(margin: np.ndarray, attacked: np.ndarray) -> tuple[float, float]:
    """Platt's fit by Newton's method, with his smoothed targets, so that separable scores stay finite."""
    positives, negatives = int(attacked.sum()), int((~attacked).sum())
    target = np.where(attacked, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    scale = max(float(margin.std()), 1e-9)
    columns = np.stack([margin / scale, np.ones(len(margin))], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(columns @ weights, -50, 50)))
        gradient = columns.T @ (chance - target)
        curvature = (columns * (chance * (1 - chance))[:, None]).T @ columns + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights -= step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return float(weights[0] / scale), float(weights[1])


def _threshold(benign: np.ndarray) -> int:
    """Beyond every benign margin seen, and where a geometric tail through them falls to one an hour.

    An hour has seven million frames and the validation blocks have minutes: without the tail, the threshold
    would promise what it never saw.
    """
    edge = int(np.quantile(benign, 1 - TAIL_SHARE, method="lower"))
    excess = benign[benign > edge] - edge
    share = len(excess) / len(benign)
    beyond_seen = int(benign.max()) + 1
    if not len(excess) or excess.mean() <= 1:
        return max(1, beyond_seen)
    # Margins are integers: an excess of 1 is the least, and each further one is as likely as the last.
    decay = -np.log(1 - 1 / float(excess.mean()))
    reach = edge + np.log(max(1.0, share * FRAMES_PER_HOUR)) / decay
    return max(1, beyond_seen, int(np.ceil(reach)))


def calibration_error(probability: np.ndarray, attacked: np.ndarray, *, bins: int = 15) -> float:
    """Expected calibration error: mean gap of probability and frequency over bins of equal width."""
    places = np.minimum((probability * bins).astype(int), bins - 1)
    count = np.bincount(places, minlength=bins)
    gap = np.bincount(places, probability, bins) - np.bincount(places, attacked.astype(float), bins)
    return float(np.abs(gap).sum() / max(1, count.sum()))
