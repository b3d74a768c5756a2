"""How each detector is trained: configuration as data."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from models.detector.augment import Augmentation
from models.detector.topology import Topology, yolox_nano

__all__ = ["RECIPES", "Recipe"]

#: Steps over which the learning rate rises at the start of a cycle.
WARM_UP = 40


@dataclass(frozen=True, kw_only=True)
class Recipe:
    name: str
    topology: Topology
    #: "yolox" starts at YOLOX-Nano's COCO weights and learns from it; "random" learns from labels alone.
    start: str = "yolox"
    #: Steps with clipped rectifiers, before anything is rounded; in each cycle the learning rate falls anew.
    float_cycles: tuple[int, ...]
    shift_steps: int  #: with shift weights and rounded activations
    batch: int = 8
    #: Adam's steps are this share of each layer's own root mean square.
    learning_rate: float = 3e-4
    shift_learning_rate: float = 3e-4
    teacher_weight: float = 1.0
    feature_weight: float = 1.0
    label_weight: float = 0.1
    held_out: int = 10  #: one picture in so many of the train split chooses the weights that are kept
    check_pictures: int = 100
    check_every: int = 200
    check_side: int = 416
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.start not in ("yolox", "random"):
            raise ValueError(f"recipe {self.name!r}: start must be 'yolox' or 'random', not {self.start!r}")
        for side in (*self.augmentation.sides, self.check_side):
            if side % 32:
                raise ValueError(f"recipe {self.name!r}: sides must be multiples of 32, not {side!r}")

    @property
    def float_steps(self) -> int:
        return sum(self.float_cycles)

    @property
    def steps(self) -> int:
        return self.float_steps + self.shift_steps

    def with_steps(self, steps: int) -> Recipe:
        """Another length, in the same proportion of the stages and their cycles."""
        least = len(self.float_cycles) + 1
        if steps < least:
            raise ValueError(f"recipe {self.name!r}: there must be at least {least} steps, not {steps!r}")
        cycles = tuple(max(1, steps * cycle // self.steps) for cycle in self.float_cycles)
        return self.replace(float_cycles=cycles, shift_steps=steps - sum(cycles))

    def cycle_of(self, step: int) -> tuple[int, int]:
        """The first step of the cycle of a step, and the length of it; the shift stage is the last."""
        first = 0
        for cycle in self.float_cycles:
            if step < first + cycle:
                return first, cycle
            first += cycle
        return first, self.shift_steps

    def rate_at(self, step: int) -> float:
        """Warm-up, then a cosine to a hundredth, in each cycle anew."""
        first, steps = self.cycle_of(step)
        base = self.shift_learning_rate if step >= self.float_steps else self.learning_rate
        falling = (1 + math.cos(math.pi * (step - first) / max(1, steps))) / 2
        return base * min(1.0, (step - first + 1) / WARM_UP) * (0.01 + 0.99 * falling)

    def replace(self, **changes: Any) -> Recipe:
        given = {name: value for name, value in changes.items() if value is not None}
        return dataclasses.replace(self, **given)


_NANO = yolox_nano()
#: Layers that lose most by rounding: the first ones, and the predictions.
_FINE = tuple(
    node.name
    for node in _NANO.weighted
    if node.name.startswith(("stem", "down2", "dark2")) or node.kind == "predict"
)
_LONG: dict[str, Any] = {
    "float_cycles": (2200, 3200),
    "learning_rate": 6e-4,
    "label_weight": 0.3,
    "check_pictures": 250,
    "augmentation": Augmentation(sides=(288, 352, 416, 480)),
}

RECIPES = {
    one.name: one
    for one in (
        #: Three digits a weight: little is lost by rounding. About 100 minutes on one core.
        Recipe(
            name="nano",
            topology=_NANO.with_digits(3),
            shift_steps=600,
            shift_learning_rate=1.5e-4,
            **_LONG,
        ),
        #: Two digits, three where rounding hurts most: two thirds of the cycles.
        Recipe(
            name="nano_two",
            topology=_NANO.with_digits(2).with_digits(3, *_FINE),
            shift_steps=2600,
            shift_learning_rate=6e-4,
            **_LONG,
        ),
        #: One digit a weight: needs hours.
        Recipe(name="nano_one", topology=_NANO, shift_steps=9000, shift_learning_rate=2e-3, **_LONG),
        Recipe(
            name="generated",
            topology=yolox_nano(width=4),
            start="random",
            float_cycles=(1200,),
            shift_steps=400,
            batch=16,
            learning_rate=1e-2,
            shift_learning_rate=3e-3,
            label_weight=1.0,
            check_side=128,
            augmentation=Augmentation(sides=(128,), scales=(0.9, 1.1), mosaic=0.0),
        ),
    )
}
