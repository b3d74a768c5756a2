"""Drive an AXI4-Lite slave in Amaranth's own simulator, one access at a time, with seeded gaps and stalls."""

from __future__ import annotations

import random
from typing import Any

__all__ = ["AXI4LiteDriver"]


class AXI4LiteDriver:
    """The master's side of `bus`, a port of a component under test.

    Without a seed there are no gaps: addresses and data come at once, and responses are taken at once. An
    answer that is withdrawn, changed while stalled, or missing after `patience` cycles is an AssertionError.
    """

    def __init__(self, bus: Any, *, seed: int | None = None, patience: int = 50):
        self._bus = bus
        self._random = random.Random(seed)
        self._longest = 0 if seed is None else 3
        self._patience = patience

    async def write(self, ctx: Any, addr: int, value: int, strb: int = 0xF) -> Any:
        """Write a word and return the response."""
        bus = self._bus
        ctx.set(bus.aw.payload.addr, addr)
        ctx.set(bus.w.payload.data, value)
        ctx.set(bus.w.payload.strb, strb)
        return (await self._access(ctx, {"aw": bus.aw, "w": bus.w}, bus.b, (bus.b.payload.resp,)))[0]

    async def read(self, ctx: Any, addr: int) -> tuple[int, Any]:
        """Read a word; return it with the response."""
        bus = self._bus
        ctx.set(bus.ar.payload.addr, addr)
        return await self._access(ctx, {"ar": bus.ar}, bus.r, (bus.r.payload.data, bus.r.payload.resp))

    async def _access(self, ctx: Any, requests: dict[str, Any], answer: Any, results: tuple) -> tuple:
        starts = {name: self._random.randint(0, self._longest) for name in requests}
        taken_from = self._random.randint(0, 2 * self._longest)
        pending = dict(requests)
        seen: tuple | None = None
        for cycle in range(self._patience):
            for name, channel in requests.items():
                ctx.set(channel.valid, name in pending and cycle >= starts[name])
            ready = cycle >= taken_from
            ctx.set(answer.ready, ready)
            valids = [channel.valid for channel in requests.values()]
            readies = [channel.ready for channel in requests.values()]
            sampled = await ctx.tick().sample(*valids, *readies, answer.valid, *results)
            values = sampled[2:]
            for index, name in enumerate(requests):
                if values[index] and values[len(requests) + index]:
                    del pending[name]
            answered, found = values[2 * len(requests)], tuple(values[2 * len(requests) + 1 :])
            assert seen is None or (answered and found == seen), "an answer changed while it was stalled"
            if answered:
                assert not pending, "answered before it was asked"
                seen = found
                if ready:
                    ctx.set(answer.ready, 0)
                    return found
        raise AssertionError(f"no answer after {self._patience} cycles")
