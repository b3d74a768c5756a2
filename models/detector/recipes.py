"""How each detector is trained: configuration as data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from models.detector.augment import Augmentation
from models.detector.topology import Topology, yolox_nano

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    name: str
    topology: Topology
    #: "yolox" starts at YOLOX-Nano's COCO weights and learns from it; "random" learns from labels alone.
    start: str = "yolox"
    float_steps: int  #: with clipped rectifiers, before anything is rounded
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
    def steps(self) -> int:
        return self.float_steps + self.shift_steps

    def with_steps(self, steps: int) -> Recipe:
        """Another length, in the same proportion of the two stages."""
        if steps < 2:
            raise ValueError(f"recipe {self.name!r}: there must be at least 2 steps, not {steps!r}")
        floating = max(1, steps * self.float_steps // self.steps)
        return self.replace(float_steps=floating, shift_steps=steps - floating)

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
    "float_steps": 2200,
    "learning_rate": 6e-4,
    "label_weight": 0.3,
    "check_pictures": 250,
    "augmentation": Augmentation(sides=(288, 352, 416, 480)),
}

RECIPES = {
    one.name: one
    for one in (
        #: Three digits a weight: little is lost by rounding. About 45 minutes on one core.
        Recipe(
            name="nano",
            topology=_NANO.with_digits(3),
            shift_steps=500,
            shift_learning_rate=1.5e-4,
            check_every=125,
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
            float_steps=1200,
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
