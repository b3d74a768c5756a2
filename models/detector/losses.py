"""What training minimises: distance to the teacher's maps, and to the labels. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from models.detector.boxes import BOX_STEP
from models.detector.metrics import Truth
from models.detector.starting import Affine
from models.detector.topology import STRIDES

__all__ = ["assign", "distance_to_features", "distance_to_labels", "distance_to_teacher"]

#: Cells within this many strides of an object's centre may learn to find it.
CENTRE_RADIUS = 1.5
#: At most this many cells learn one object.
MOST_CELLS = 10
#: Weight of the box against the two logits.
BOX_WEIGHT = 5.0


def flat(maps: Sequence[Tensor]) -> Tensor:
    """All cells of a batch's maps as (batch, cells, 5 + classes), finest first."""
    return torch.cat([values.flatten(2) for values in maps], dim=2).transpose(1, 2)


def distance_to_teacher(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Cross entropy to the teacher; boxes and classes count where the teacher sees an object."""
    own, model = flat(student), flat(teacher)
    seen = torch.sigmoid(model[..., 4])
    total = seen.sum().clamp_min(1.0)
    objects = functional.binary_cross_entropy_with_logits(own[..., 4], seen, reduction="sum")
    classes = functional.binary_cross_entropy_with_logits(
        own[..., 5:], torch.sigmoid(model[..., 5:]), reduction="none"
    ).sum(dim=2)
    boxes = functional.smooth_l1_loss(own[..., :4], model[..., :4], reduction="none", beta=0.2).sum(dim=2)
    return (objects + (seen * (classes + boxes)).sum()) / total


def distance_to_features(
    student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], affine: Mapping[str, Affine]
) -> Tensor:
    """Mean squared difference of inner maps, in units of the teacher's variance."""
    distances = []
    for name, one in affine.items():
        aim = teacher[name]
        own = student[name] * one.gain.reshape(1, -1, 1, 1) + one.offset.reshape(1, -1, 1, 1)
        variance = aim.var(dim=(0, 2, 3), keepdim=True) + 1e-2
        distances.append(((own - aim) ** 2 / variance).mean())
    return torch.stack(distances).mean()


def _decoded(cells: Tensor, shapes: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (batch, cells, 4) in pixels; centres (cells, 2) in pixels; stride of each cell."""
    centres, strides = [], []
    for step, (height, width) in zip(STRIDES, shapes, strict=True):
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        centres.append(torch.stack([columns.flatten(), rows.flatten()], dim=1) * float(step))
        strides.append(torch.full((height * width,), float(step)))
    corner, stride = torch.cat(centres), torch.cat(strides)
    middle = cells[..., :2] * BOX_STEP * stride[:, None] + corner
    half = torch.exp((cells[..., 2:4] * BOX_STEP).clamp(max=6.0)) * stride[:, None] / 2
    return torch.cat([middle - half, middle + half], dim=2), corner + stride[:, None] / 2, stride


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union along the last axis; shapes broadcast."""
    sides = (
        torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])
    ).clamp_min(0)
    common = sides[..., 0] * sides[..., 1]
    areas = [(box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1]) for box in (one, other)]
    return common / (areas[0] + areas[1] - common).clamp_min(1e-6)


@torch.no_grad()
def assign(
    cells: Tensor, boxes: Tensor, truth: tuple[Tensor, Tensor], centres: Tensor, strides: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Which cells of a picture learn which object (YOLOX's dynamic assignment): cells, objects, overlaps."""
    wanted, classes = truth
    overlap = _overlap(boxes[None], wanted[:, None])
    middle = (wanted[:, :2] + wanted[:, 2:]) / 2
    near = ((centres[None] - middle[:, None]).abs() < CENTRE_RADIUS * strides[None, :, None]).all(dim=2)
    inside = ((centres[None] > wanted[:, None, :2]) & (centres[None] < wanted[:, None, 2:])).all(dim=2)
    score = torch.sigmoid(cells[:, 5:]) * torch.sigmoid(cells[:, 4:5])
    misjudged = -torch.log(score.sqrt()[:, classes].T.clamp_min(1e-6))
    cost = (
        misjudged - 3 * torch.log(overlap.clamp_min(1e-6)) + 1e3 * ~(near & inside) + 1e5 * ~(near | inside)
    )
    taken = torch.zeros_like(cost, dtype=torch.bool)
    for row in range(len(wanted)):
        best = overlap[row].topk(min(MOST_CELLS, overlap.shape[1])).values.sum()
        count = int(best.clamp(1, MOST_CELLS))
        taken[row, cost[row].topk(count, largest=False).indices] = True
    # A cell that several objects claim goes to the cheapest.
    cheapest = torch.where(taken, cost, torch.inf).argmin(dim=0)
    chosen = taken.any(dim=0).nonzero()[:, 0]
    return chosen, cheapest[chosen], overlap[cheapest[chosen], chosen]


def distance_to_labels(student: Sequence[Tensor], truths: Sequence[Truth]) -> Tensor:
    """YOLOX's loss: overlap of assigned boxes, cross entropy of objectness and of classes."""
    cells = flat(student)
    boxes, centres, strides = _decoded(cells, [(one.shape[2], one.shape[3]) for one in student])
    aims = torch.zeros(cells.shape[:2])
    ignored = torch.zeros(cells.shape[:2], dtype=torch.bool)
    losses: list[Tensor] = []
    count = 0
    for row, truth in enumerate(truths):
        wanted = torch.from_numpy(truth.boxes).float()
        classes = torch.from_numpy(truth.classes).long()
        if not len(wanted):
            continue
        chosen, objects, overlap = assign(cells[row], boxes[row], (wanted, classes), centres, strides)
        difficult = torch.from_numpy(truth.difficult)[objects]
        ignored[row, chosen[difficult]] = True
        chosen, objects, overlap = chosen[~difficult], objects[~difficult], overlap[~difficult]
        aims[row, chosen] = 1.0
        named = functional.one_hot(classes[objects], cells.shape[2] - 5).float() * overlap[:, None]
        losses.append(
            BOX_WEIGHT * (1 - _overlap(boxes[row, chosen], wanted[objects]) ** 2).sum()
            + functional.binary_cross_entropy_with_logits(cells[row, chosen, 5:], named, reduction="sum")
        )
        count += len(chosen)
    unsure = functional.binary_cross_entropy_with_logits(cells[..., 4], aims, reduction="none")
    losses.append((unsure * ~ignored).sum())
    return torch.stack(losses).sum() / max(1, count)
