"""The memory of the maps on chip beside a list in Python: runs are read while other words are written."""

import random
from functools import partial

import cocotb
from amaranth.lib import data

from hw.tile.kept import RUN, KeptMaps
from hw.tile.preset import preset
from sim.benches.runner import Bench, parameters
from sim.cocotb_streams import Streams

PRESET = preset("sim").replace(kept_words=64)


class _Runs:
    """Runs that are asked for, and words as they are when a run begins; a word in a run is not written."""

    def __init__(self, dut, words: list[int], *, seed: int):
        self.streams = Streams(dut, sources=("request",), sinks=("data",), seed=seed)
        self.rng = random.Random(seed)
        self.words = words
        self.expected: list[int] = []
        self.places: list[int] = []
        self.writes = 0
        self.streams.watchers.append(self._watch)
        self.streams.drivers.append(self._write)

    async def begin(self) -> None:
        await self.streams.begin(write=0, write_addr=0, write_data=0)

    def ask(self, addr: int, words: int) -> None:
        self.streams.queues["request"].append(RUN.const({"addr": addr, "words": words}).as_bits())

    def _watch(self) -> None:
        value = self.streams.value
        if value("write"):
            self.words[value("write_addr")] = value("write_data")
        if value("request_valid") and value("request_ready"):
            run = data.Const(RUN, value("request_payload"))
            places = range(run.addr, run.addr + run.words)
            self.places += places
            self.expected += [self.words[place] for place in places]

    def _write(self) -> None:
        """Anywhere but where words are still to come from; often where a run has just left."""
        left = len(self.streams.received["data"])
        free = set(range(PRESET.kept_words)) - set(self.places[left:])
        recent = free & set(self.places[max(left - 4, 0) : left])
        dut = self.streams.dut
        dut.write.value = writes = self.streams.chance(0.8)
        dut.write_addr.value = self.rng.choice(sorted(recent or free))
        dut.write_data.value = self.rng.getrandbits(PRESET.bus_bits)
        self.writes += writes


@cocotb.test()
async def runs_are_read_as_they_were_written(dut):
    words = [0] * PRESET.kept_words  # a reset leaves them as they are
    for seed in range(parameters()["seeds"]):
        runs = _Runs(dut, words, seed=seed)
        await runs.begin()
        runs.streams.pauses = runs.rng.choice([0, 0.3, 0.7])
        total = 0
        for _ in range(parameters()["loads"]):
            length = runs.rng.randint(1, 12)
            runs.ask(runs.rng.randrange(PRESET.kept_words - length + 1), length)
            total += length
        got = runs.streams.received["data"]
        await runs.streams.until(lambda got=got, total=total: len(got) == total)
        assert got == runs.expected
        assert runs.writes > total // 2
        runs.streams.stop()


BENCHES = (
    Bench(
        name="tile_kept",
        component=partial(KeptMaps, PRESET),
        module=__name__,
        parameters={"seeds": 8, "loads": 120},
    ),
)
