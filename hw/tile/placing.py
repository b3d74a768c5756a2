"""Places in a memory for what lives for a while only: no two overlap that live at the same time."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["place"]


def place(sizes: Sequence[int], spans: Sequence[tuple[int, int]], *, start: int = 0) -> list[int]:
    """The offset of each, the largest placed first and as low as it can be; spans include both ends."""
    offsets: dict[int, int] = {}
    for index in sorted(range(len(sizes)), key=lambda each: -sizes[each]):
        offset, (born, dies) = start, spans[index]
        for other in sorted(offsets, key=lambda each: offsets[each]):
            if spans[other][1] < born or dies < spans[other][0]:
                continue
            if offset + sizes[index] <= offsets[other]:
                break
            offset = max(offset, offsets[other] + sizes[other])
        offsets[index] = offset
    return [offsets[index] for index in range(len(sizes))]
