"""What a pipeline of dense layers is built for: sizes, folding, and so the words of its memories.

The gateware is made from it, and the host makes weight images with it; a retrained model fits a pipeline
if its numbers fit the same shape. Widths hold for any weights of the declared size, since weights change.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from models.program.ops import bits_for

__all__ = ["IMAGE_WORD_BITS", "Bank", "LayerShape", "PipelineShape", "WindowShape"]

IMAGE_WORD_BITS = 32
#: Change it whenever the same numbers get another place or meaning in the memories.
LAYOUT_VERSION = 1


@dataclass(frozen=True)
class Bank:
    """A memory that is replaced at run time."""

    name: str
    depth: int
    width: int

    @property
    def slices(self) -> int:
        """An image word fills a row of one slice: memories wider than a word are several side by side."""
        return -(-self.width // IMAGE_WORD_BITS)

    @property
    def image_words(self) -> int:
        return self.slices * self.depth


def _positive(shape: object, *names: str) -> None:
    for name in names:
        value = getattr(shape, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} of a {type(shape).__name__} must be a positive integer, not {value!r}")


def _divides(shape: object, part: str, whole: str) -> None:
    if getattr(shape, whole) % getattr(shape, part):
        raise ValueError(
            f"{part} of a {type(shape).__name__} must divide {whole}, and {getattr(shape, part)!r} does not "
            f"divide {getattr(shape, whole)!r}"
        )


@dataclass(frozen=True, kw_only=True)
class WindowShape:
    """The first layer over a window of frames, summed value by value as they arrive."""

    slots: int  #: frames in a window
    features: int  #: values of a frame
    value_bits: int  #: of one value, unsigned
    units: int
    lanes: int  #: units that one value is added to in a cycle
    emit_lanes: int  #: sums that leave, and are compared with thresholds, in a cycle
    levels: int  #: thresholds a unit
    weight_max: int = 1  #: weights are -weight_max to weight_max

    def __post_init__(self) -> None:
        names = ("slots", "features", "value_bits", "units", "lanes", "emit_lanes", "levels", "weight_max")
        _positive(self, *names)
        _divides(self, "lanes", "units")
        _divides(self, "emit_lanes", "lanes")
        # A word is written a cycle after the next is read: no sweep may come back to it sooner.
        if self.words < 2 or (self.slots > 1 and self.words - self.groups < 2):
            raise ValueError(
                f"lanes of a WindowShape must leave at least two words of sums, also without the newest "
                f"frame's, and {self.lanes!r} lanes for {self.slots} x {self.units} sums do not; "
                "use fewer lanes"
            )
        if self.value_bits > 1 and self.weight_max > 1:
            raise ValueError(
                f"values of {self.value_bits} bits need ternary weights, not weights up to {self.weight_max}"
                "; train the first layer with narrow 2-bit weights, or use the bit encoding"
            )

    @property
    def groups(self) -> int:
        """Words that the sums of one slot take."""
        return self.units // self.lanes

    @property
    def words(self) -> int:
        return self.slots * self.groups

    @property
    def weight_bits(self) -> int:
        return bits_for(minimum=-self.weight_max, maximum=self.weight_max)

    @property
    def frame_sum_max(self) -> int:
        return self.features * ((1 << self.value_bits) - 1) * self.weight_max

    @property
    def frame_sum_bits(self) -> int:
        return bits_for(minimum=-self.frame_sum_max, maximum=self.frame_sum_max)

    @property
    def past_sum_bits(self) -> int:
        most = max(1, self.slots - 1) * self.frame_sum_max
        return bits_for(minimum=-most, maximum=most)

    @property
    def sum_bits(self) -> int:
        most = self.slots * self.frame_sum_max
        return bits_for(minimum=-most, maximum=most)

    @property
    def threshold_range(self) -> tuple[int, int]:
        """From always reached to never reached."""
        most = self.slots * self.frame_sum_max
        return -most, most + 1

    @property
    def threshold_bits(self) -> int:
        low, high = self.threshold_range
        return bits_for(minimum=low, maximum=high)

    @property
    def output_bits(self) -> int:
        return self.levels.bit_length()

    @property
    def banks(self) -> tuple[Bank, ...]:
        return (
            Bank("window weights", self.features * self.words, self.lanes * self.weight_bits),
            Bank(
                "window thresholds",
                self.units // self.emit_lanes,
                self.emit_lanes * self.levels * self.threshold_bits,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """A dense layer, `simd` inputs times `pe` outputs a cycle, and the thresholds behind it."""

    inputs: int
    outputs: int
    input_max: int  #: activations are 0 to this
    simd: int
    pe: int
    levels: int  #: thresholds a unit; 0 for the last layer, whose sums are logits
    weight_max: int = 1

    def __post_init__(self) -> None:
        _positive(self, "inputs", "outputs", "input_max", "simd", "pe", "weight_max")
        _divides(self, "simd", "inputs")
        _divides(self, "pe", "outputs")
        if not self.levels and (self.pe != self.outputs or self.outputs < 2):
            raise ValueError(
                f"the last layer must make all of its 2 or more logits at once, so pe must be {self.outputs}"
                f", not {self.pe!r}"
            )

    @property
    def beats(self) -> int:
        """Cycles of one output."""
        return self.inputs // self.simd

    @property
    def groups(self) -> int:
        return self.outputs // self.pe

    @property
    def input_bits(self) -> int:
        return self.input_max.bit_length()

    @property
    def output_bits(self) -> int:
        return self.levels.bit_length()

    @property
    def weight_bits(self) -> int:
        return bits_for(minimum=-self.weight_max, maximum=self.weight_max)

    @property
    def input_mask(self) -> int:
        return (1 << self.input_bits) - 1

    @property
    def sum_max(self) -> int:
        """Of the sum as hardware forms it, which is never negative: see `offset`."""
        per_input = 1 if self.weight_max == 1 else (1 << self.weight_bits) - 1
        return self.inputs * self.input_mask * per_input

    @property
    def sum_bits(self) -> int:
        return self.sum_max.bit_length()

    def offset(self, weights: list[int]) -> int:
        """What the hardware's sum of a unit with these weights is too large by.

        -x is ~x less a constant, and constants go into the thresholds: a ternary weight of -1 adds ~x, and
        the sign bit of a wider weight adds ~x where it is set and all ones where it is not.
        """
        if self.weight_max == 1:
            return self.input_mask * sum(weight < 0 for weight in weights)
        return self.input_mask * len(weights) << self.weight_bits - 1

    @property
    def threshold_range(self) -> tuple[int, int]:
        return 0, self.sum_max + 1

    @property
    def threshold_bits(self) -> int:
        return (self.sum_max + 1).bit_length()

    @property
    def logit_bits(self) -> int:
        """Holds every sum of legal weights, and a bias as large as that."""
        most = 2 * self.inputs * self.input_max * self.weight_max
        return bits_for(minimum=-most, maximum=most)

    def banks(self, index: int) -> tuple[Bank, ...]:
        weights = Bank(
            f"layer {index} weights", self.groups * self.beats, self.pe * self.simd * self.weight_bits
        )
        if not self.levels:
            return weights, Bank(f"layer {index} bias", self.outputs, self.logit_bits)
        width = self.pe * self.levels * self.threshold_bits
        return weights, Bank(f"layer {index} thresholds", self.groups, width)


@dataclass(frozen=True, kw_only=True)
class PipelineShape:
    """A window layer and what follows it, or folded layers alone."""

    layers: tuple[LayerShape, ...]
    window: WindowShape | None = None

    def __post_init__(self) -> None:
        if not self.layers or self.layers[-1].levels or not all(layer.levels for layer in self.layers[:-1]):
            raise ValueError(
                "a pipeline has at least one layer after the window, and the last one alone has no thresholds"
            )
        before: WindowShape | LayerShape | None = self.window
        for index, layer in enumerate(self.layers):
            if before is not None:
                made = before.units if isinstance(before, WindowShape) else before.outputs
                if (made, before.levels) != (layer.inputs, layer.input_max):
                    raise ValueError(
                        f"layer {index} reads {layer.inputs} values up to {layer.input_max}, but the layer "
                        f"before it makes {made} up to {before.levels}"
                    )
            lanes = before.emit_lanes if isinstance(before, WindowShape) else before.pe if before else None
            if lanes and max(lanes, layer.simd) % min(lanes, layer.simd):
                raise ValueError(
                    f"layer {index} takes {layer.simd} inputs at once and {lanes} come at once; one number "
                    "must divide the other"
                )
            before = layer

    @property
    def classes(self) -> int:
        return self.layers[-1].outputs

    @property
    def logit_bits(self) -> int:
        return self.layers[-1].logit_bits

    @cached_property
    def banks(self) -> tuple[Bank, ...]:
        window = self.window.banks if self.window else ()
        return (*window, *(bank for index, layer in enumerate(self.layers) for bank in layer.banks(index)))

    @property
    def payload_words(self) -> int:
        return sum(bank.image_words for bank in self.banks)

    @cached_property
    def digest(self) -> int:
        """32 bits that tell shapes apart: an image bears them, and hardware refuses others."""
        text = json.dumps([LAYOUT_VERSION, self.as_dict()], sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for the description of an overlay; `from_dict` is the inverse."""
        return asdict(self)

    @staticmethod
    def from_dict(content: dict[str, Any]) -> PipelineShape:
        window = content.get("window")
        return PipelineShape(
            layers=tuple(LayerShape(**layer) for layer in content["layers"]),
            window=WindowShape(**window) if window else None,
        )
