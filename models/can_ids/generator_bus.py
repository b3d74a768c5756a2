"""The wire between the nodes: how long a frame takes with its stuff bits, and who goes first."""

from __future__ import annotations

import heapq

import numpy as np

from models.can_ids.frames import Frames

__all__ = ["arbitrate", "wire_bits"]

CRC_BITS, CRC_POLYNOMIAL = 15, 0x4599
#: CRC delimiter, acknowledge slot and delimiter, end of frame, and the pause of three bits: never stuffed.
TAIL_BITS = 1 + 2 + 7 + 3


def wire_bits(frames: Frames) -> np.ndarray:
    """Bits each frame occupies on the bus, from start of frame to the end of the pause after it."""
    total = np.zeros(len(frames), np.int64)
    kinds = frames.extended.astype(np.int64) * 32 + frames.remote * 16 + frames.dlc
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        bits = _frame_bits(frames[rows])
        bits = np.concatenate([bits, _crc(bits)])
        total[rows] = len(bits) + _stuff_bits(bits) + TAIL_BITS
    return total


def _frame_bits(frames: Frames) -> np.ndarray:
    """Start of frame to the last data bit as rows of bits, for frames of one length and format."""
    count, remote = len(frames), bool(frames.remote[0])
    dominant, recessive = np.zeros((1, count), np.uint8), np.ones((1, count), np.uint8)
    answer = recessive if remote else dominant
    identifier = frames.identifier
    if frames.extended[0]:
        arbitration = [
            _bits(identifier >> 18, 11),
            recessive,
            recessive,
            _bits(identifier, 18),
            answer,
            dominant,
        ]
    else:
        arbitration = [_bits(identifier, 11), answer, dominant]
    octets = 0 if remote else int(frames.dlc[0])
    data = np.unpackbits(frames.data[:, :octets], axis=1).T
    return np.concatenate([dominant, *arbitration, dominant, _bits(frames.dlc, 4), data])


def _bits(values: np.ndarray, width: int) -> np.ndarray:
    places = np.arange(width - 1, -1, -1, dtype=np.uint32)
    return (values.astype(np.uint32)[None, :] >> places[:, None] & 1).astype(np.uint8)


def _crc(bits: np.ndarray) -> np.ndarray:
    remainder = np.zeros(bits.shape[1], np.uint32)
    for bit in bits:
        feedback = bit ^ (remainder >> (CRC_BITS - 1) & 1)
        remainder = (remainder << 1 & (1 << CRC_BITS) - 1) ^ feedback * CRC_POLYNOMIAL
    return _bits(remainder, CRC_BITS)


def _stuff_bits(bits: np.ndarray) -> np.ndarray:
    """How many bits are inserted: after five equal ones comes their opposite, which itself counts."""
    level = np.full(bits.shape[1], 2, np.uint8)
    run = np.zeros(bits.shape[1], np.int64)
    inserted = np.zeros(bits.shape[1], np.int64)
    for bit in bits:
        run = np.where(bit == level, run + 1, 1)
        stuffed = run == 5
        inserted += stuffed
        level = np.where(stuffed, 1 - bit, bit)
        run[stuffed] = 1
    return inserted


def arbitrate(frames: Frames, *, bit_rate: int) -> Frames:
    """Frames in the order in which the bus carries them, each stamped when it ends.

    `frames.timestamp` holds the times at which the nodes want to send. Whenever the bus is free, the lowest
    identifier among those waiting goes first, as arbitration has it, and is not interrupted.
    """
    frames = frames[np.argsort(frames.timestamp, kind="stable")]
    wanted = frames.timestamp.tolist()
    seconds = (wire_bits(frames) / bit_rate).tolist()
    priority = _priority(frames).tolist()
    order: list[int] = []
    ends: list[float] = []
    waiting: list[tuple[int, int]] = []
    now, arriving = 0.0, 0
    while arriving < len(wanted) or waiting:
        if not waiting:
            now = max(now, wanted[arriving])
        while arriving < len(wanted) and wanted[arriving] <= now:
            heapq.heappush(waiting, (priority[arriving], arriving))
            arriving += 1
        _, row = heapq.heappop(waiting)
        now += seconds[row]
        order.append(row)
        ends.append(now)
    carried = frames[np.array(order, np.int64)]
    carried.timestamp[:] = np.round(ends, 6)
    return carried


def _priority(frames: Frames) -> np.ndarray:
    """Numbers that sort as the arbitration field does: eleven bits first, then standard before extended."""
    base = np.where(frames.extended, frames.identifier >> 18, frames.identifier).astype(np.int64)
    rest = np.where(frames.extended, frames.identifier & 0x3FFFF, 0).astype(np.int64)
    return base << 20 | frames.extended.astype(np.int64) << 19 | rest << 1 | frames.remote
