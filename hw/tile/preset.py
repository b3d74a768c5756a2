"""How large an engine is: one frozen description for gateware, compiler, driver and docs."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import Any

from hw.tile.instruction import FIELDS
from models.program.digits import DIGIT_BITS

__all__ = ["PRESETS", "Preset", "preset"]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The parameters of an engine. A map is kept in planes of `channels` channels, a byte each."""

    name: str
    pixels: int  #: pixel lanes, each with a feature bank and a vertical strip of its own
    channels: int  #: input channels and output channels at a time; also the bytes of a bus beat
    feature_words: int  #: depth of a feature bank, in words of `channels` bytes
    weight_words: int  #: depth of the weight memory, in words of `channels` squared digits
    row_words: int  #: the longest output row of a strip, over all pixel lanes
    kept_words: int  #: room for maps that stay on chip, in words of `channels` bytes
    row_slots: int = 4  #: output rows that may wait for the bus
    accumulator_bits: int = 26
    queue: int = 128  #: instructions that wait for each unit; as many as go into block memory
    ports: int = 1  #: AXI4 masters to memory; of two, the second brings the instructions

    def __post_init__(self) -> None:
        if self.channels not in (8, 16):
            raise ValueError(f"preset {self.name!r}: channels must be 8 or 16, not {self.channels!r}")
        for name in ("feature_words", "weight_words", "row_words", "kept_words", "row_slots"):
            value = getattr(self, name)
            if value < 2 or value & value - 1 or value > 1 << 16:
                raise ValueError(
                    f"preset {self.name!r}: {name} must be a power of two up to 65536, for its addresses "
                    f"wrap, not {value!r}"
                )
        if not 1 <= self.pixels <= 16:
            raise ValueError(f"preset {self.name!r}: pixels must be 1 to 16, not {self.pixels!r}")
        if self.ports not in (1, 2):
            raise ValueError(f"preset {self.name!r}: ports must be 1 or 2, not {self.ports!r}")
        if not 18 <= self.accumulator_bits <= 26:
            raise ValueError(
                f"preset {self.name!r}: accumulator_bits must be 18 to 26, for a bias shares a 32-bit word "
                f"with its shift, not {self.accumulator_bits!r}"
            )

    @property
    def lanes(self) -> int:
        return self.pixels * self.channels**2

    @property
    def bus_bits(self) -> int:
        return 8 * self.channels

    @property
    def weight_beats(self) -> int:
        """Bus beats of a weight word: a digit of each weight, or 32 bits for each output channel."""
        return max(-(-DIGIT_BITS * self.channels**2 // self.bus_bits), 4)

    @property
    def fold_bytes(self) -> tuple[int, ...]:
        """Bytes that a pixel may have for several to share a word; instructions name one by number, from 1.

        No more than three, so that one table chooses a bit of a word.
        """
        return {8: (2, 4), 16: (3, 4, 8)}[self.channels]

    @property
    def target_hash(self) -> str:
        """What a compiled binary must match: what the instructions are, and all parameters but the ports."""
        parameters = asdict(self)
        del parameters["ports"]  # by whichever port a word comes, it is the same word
        matched = (sorted(parameters.items()), sorted(FIELDS.items()))
        return hashlib.sha256(repr(matched).encode()).hexdigest()[:8]

    def replace(self, **changes: Any) -> Preset:
        return replace(self, **changes)


#: From the smallest on.
PRESETS: dict[str, Preset] = {
    each.name: each
    for each in (
        Preset(
            name="sim", pixels=2, channels=8, feature_words=1024, weight_words=512, row_words=64,
            kept_words=512,
        ),
        Preset(
            name="small", pixels=4, channels=8, feature_words=4096, weight_words=8192, row_words=256,
            kept_words=4096,
        ),
        Preset(
            name="z7020", pixels=4, channels=16, feature_words=2048, weight_words=2048, row_words=256,
            kept_words=4096,
        ),
        Preset(
            name="zu3eg", pixels=4, channels=16, feature_words=4096, weight_words=4096, row_words=256,
            kept_words=4096, ports=2,
        ),
        Preset(
            name="zu7ev", pixels=8, channels=16, feature_words=4096, weight_words=4096, row_words=512,
            kept_words=8192, ports=2,
        ),
    )
}  # fmt: skip


def preset(name: str) -> Preset:
    if name not in PRESETS:
        raise ValueError(f"there is no engine preset {name!r}; use one of {', '.join(PRESETS)}")
    return PRESETS[name]
