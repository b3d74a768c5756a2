"""What a network is, before it is trained: its encoding, widths, bits and classes; no torch here."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from models.can_ids.features import Encoding
from models.can_ids.frames import Attack

__all__ = ["CLASSES", "CLASSES_WITH_GEAR", "Topology"]

CLASSES = (Attack.BENIGN, Attack.DOS, Attack.FUZZING, Attack.SPOOFING)
CLASSES_WITH_GEAR = (*CLASSES, Attack.SPOOFING_GEAR)


@dataclass(frozen=True, kw_only=True)
class Topology:
    """A multi-layer perceptron; a logit's index is its class, which is why classes must be counted from 0."""

    encoding: Encoding
    hidden: tuple[int, ...]
    classes: tuple[Attack, ...] = CLASSES
    weight_bits: int = 2  #: narrow range: 2 bits are -1, 0 and 1
    activation_bits: int = 2

    def __post_init__(self) -> None:
        if tuple(self.classes) != tuple(Attack)[: len(self.classes)] or len(self.classes) < 2:
            raise ValueError(f"the classes must be the first of {list(Attack)!r}, not {self.classes!r}")
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"there must be hidden layers of at least one unit, not {self.hidden!r}")
        for name, bits in (("weight", self.weight_bits), ("activation", self.activation_bits)):
            if not 1 <= bits <= 8 or (name == "weight" and bits == 1):
                raise ValueError(f"{name} bits must be 2 to 8 (activations 1 to 8), not {bits!r}")

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.encoding.features, *self.hidden, len(self.classes))

    @property
    def weights(self) -> int:
        return sum(a * b for a, b in pairwise(self.widths))

    @property
    def weight_storage_bits(self) -> int:
        return self.weights * self.weight_bits

    def __str__(self) -> str:
        widths = "-".join(map(str, self.widths))
        return f"{widths}, {self.weight_bits}-bit weights, {self.activation_bits}-bit activations"
