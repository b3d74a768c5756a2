"""Windows of frames as the integers that a network reads, for hosts, training and gateware alike.

Neither time nor rate is among the features: the logged rate collapses while frames are injected, so a model
that sees it learns the recording and not the attack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.can_ids.frames import Frames

__all__ = ["IDENTIFIER_BITS", "Encoding", "is_judged"]

IDENTIFIER_BITS = 11
PAYLOAD_BITS = 64
#: Features of one frame, and what the network's input quantiser must hold.
KINDS = {"bytes": 10, "bits": IDENTIFIER_BITS + PAYLOAD_BITS}


def is_judged(frames: Frames) -> np.ndarray:
    """Which frames the encodings are defined on: data frames with an 11-bit identifier."""
    return ~(frames.extended | frames.remote)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How the last `window` frames become integers, the oldest frame first and the newest last.

    `bytes` is the published encoding: identifier in two bytes, high byte first, then the eight payload bytes.
    A byte b enters as the INT8 number b - 128. `bits` has one feature in {0, 1} a bit, in the order of the
    wire: identifier from bit 10 down, then payload byte 0 to 7, each from bit 7 down. Payload bytes beyond
    the DLC are zero in both; the DLC itself is no feature.
    """

    kind: str  #: "bytes" or "bits"
    window: int  #: frames, 1 to 64

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"the encoding must be one of {sorted(KINDS)}, not {self.kind!r}")
        if not 1 <= self.window <= 64:
            raise ValueError(f"a window has 1 to 64 frames, not {self.window!r}")

    @property
    def frame_features(self) -> int:
        return KINDS[self.kind]

    @property
    def features(self) -> int:
        return self.frame_features * self.window

    def of_frames(self, identifier: np.ndarray, data: np.ndarray) -> np.ndarray:
        """Features of single frames: any shape of identifiers, their payloads with one axis of 8 more.

        int8 for bytes, uint8 for bits.
        """
        high, low = (identifier >> 8).astype(np.uint8), identifier.astype(np.uint8)
        columns = np.concatenate([high[..., None], low[..., None], data], axis=-1)
        if self.kind == "bytes":
            return (columns ^ 0x80).view(np.int8)
        unused = 16 - IDENTIFIER_BITS
        return np.unpackbits(columns, axis=-1)[..., unused:]

    def windows(self, frames: Frames) -> np.ndarray:
        """(len(frames) - window + 1, features): row i is the window whose newest frame is i + window - 1."""
        judged = is_judged(frames)
        if not judged.all():
            raise ValueError(
                f"{int((~judged).sum())} of {len(frames)} frames are remote or have a 29-bit identifier, for "
                "which the encoding is not defined; leave them out with frames[is_judged(frames)]"
            )
        single = self.of_frames(frames.identifier, frames.data)
        if self.window == 1 or len(frames) < self.window:
            return single if self.window == 1 else np.zeros((0, self.features), single.dtype)
        views = np.lib.stride_tricks.sliding_window_view(single, self.window, axis=0)
        return np.ascontiguousarray(views.transpose(0, 2, 1)).reshape(-1, self.features)
