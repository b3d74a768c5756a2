"""The bridge between a processor that bursts and registers that do not, against a model of both."""

import random

import pytest
from amaranth.sim import Simulator

from hw.bus.axi3 import Axi3ToLite

SLVERR = 2
BAD = range(0x40, 0x80)  #: registers that answer with an error


class Bench:
    """Random bursts in, accesses recorded; each side waits at random."""

    def __init__(self, seed, *, stalls):
        self.random = random.Random(seed)
        self.stalls = stalls
        self.unit = Axi3ToLite(addr_bits=16, id_bits=4)
        self.writes, self.words = [], {4 * n: 0x1000 + n for n in range(64)}
        self.answers, self.read_back = [], []

    def waits(self):
        return self.random.random() < self.stalls

    async def offer(self, ctx, stream, payload):
        while self.waits():
            await ctx.tick()
        for name, value in payload.items():
            ctx.set(stream.payload[name], value)
        ctx.set(stream.valid, 1)
        await ctx.tick().until(stream.ready)
        ctx.set(stream.valid, 0)

    async def take(self, ctx, stream, fields):
        while self.waits():
            await ctx.tick()
        ctx.set(stream.ready, 1)
        values = await ctx.tick().sample(*(stream.payload[name] for name in fields)).until(stream.valid)
        ctx.set(stream.ready, 0)
        return dict(zip(fields, map(int, values), strict=True))

    async def write_slave(self, ctx, bursts):
        lite = self.unit.registers
        for _ in range(sum(length + 1 for _, _, length, _ in bursts)):
            orders = [("aw", lite.aw, ("addr",)), ("w", lite.w, ("data", "strb"))]
            self.random.shuffle(orders)
            got = {}
            for name, stream, fields in orders:
                got[name] = await self.take(ctx, stream, fields)
            self.writes.append((got["aw"]["addr"], got["w"]["data"], got["w"]["strb"]))
            await self.offer(ctx, lite.b, {"resp": SLVERR if got["aw"]["addr"] in BAD else 0})

    async def read_slave(self, ctx, bursts):
        lite = self.unit.registers
        for _ in range(sum(length + 1 for _, _, length, _ in bursts)):
            address = (await self.take(ctx, lite.ar, ("addr",)))["addr"]
            answer = {"data": self.words[address & ~3], "resp": SLVERR if address in BAD else 0}
            await self.offer(ctx, lite.r, answer)

    def bursts(self, count):
        for _ in range(count):
            length, fixed = self.random.randrange(16), self.random.random() < 0.3
            first = 4 * self.random.randrange(64 - length)
            yield self.random.randrange(16), first, length, 0 if fixed else 1

    async def write_host(self, ctx, bursts):
        host = self.unit.processor
        for number, first, length, kind in bursts:
            request = {"id": number, "addr": 0x4000_0000 + first, "len": length, "size": 2, "burst": kind}
            await self.offer(ctx, host.aw, request)
            for beat in range(length + 1):
                word = {"data": first << 8 | beat, "strb": beat % 16, "last": beat == length}
                await self.offer(ctx, host.w, word)
            self.answers.append(await self.take(ctx, host.b, ("id", "resp")))

    async def read_host(self, ctx, bursts):
        host = self.unit.processor
        for number, first, length, kind in bursts:
            request = {"id": number, "addr": 0x4000_0000 + first, "len": length, "size": 2, "burst": kind}
            await self.offer(ctx, host.ar, request)
            beats = [await self.take(ctx, host.r, ("id", "data", "resp", "last")) for _ in range(length + 1)]
            self.read_back.append(beats)


def addresses(first, length, kind):
    return [first + (4 * beat if kind else 0) for beat in range(length + 1)]


@pytest.mark.parametrize(("seed", "stalls"), [(1, 0.0), (2, 0.5)])
def test_bursts_become_single_accesses(seed, stalls):
    bench = Bench(seed, stalls=stalls)
    writes, reads = list(bench.bursts(25)), list(bench.bursts(25))
    simulator = Simulator(bench.unit)
    simulator.add_clock(1e-6)

    async def write_slave(ctx):
        await bench.write_slave(ctx, writes)

    async def read_slave(ctx):
        await bench.read_slave(ctx, reads)

    async def write_host(ctx):
        await bench.write_host(ctx, writes)

    async def read_host(ctx):
        await bench.read_host(ctx, reads)

    for process in (write_slave, read_slave, write_host, read_host):
        simulator.add_testbench(process)
    simulator.run()

    expected = [
        (address, first << 8 | beat, beat % 16)
        for _, first, length, kind in writes
        for beat, address in enumerate(addresses(first, length, kind))
    ]
    assert bench.writes == expected
    assert bench.answers == [
        {"id": number, "resp": SLVERR if set(addresses(first, length, kind)) & set(BAD) else 0}
        for number, first, length, kind in writes
    ]
    assert bench.read_back == [
        [
            {
                "id": number,
                "data": bench.words[address],
                "resp": SLVERR if address in BAD else 0,
                "last": int(beat == length),
            }
            for beat, address in enumerate(addresses(first, length, kind))
        ]
        for number, first, length, kind in reads
    ]
