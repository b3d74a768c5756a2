"""The tile engine's loader before memories in Python: words land where the instructions say."""

import random
from functools import partial

import cocotb
import numpy as np
from amaranth.lib import data

from hw.overlay.description import MEMORY_ADDR_BITS
from hw.tile.instruction import BITS, FIELDS, Instruction, Opcode, layout
from hw.tile.kept import RUN
from hw.tile.loader import Loader
from hw.tile.parts import SHARE_MOST, wrapped_address
from hw.tile.preset import preset
from sim.benches.runner import Bench, parameters
from sim.cocotb_streams import Streams

#: One of each number of lanes, for pixels are folded otherwise.
PRESETS = {8: preset("sim"), 16: preset("z7020").replace(name="two", pixels=2)}
BASE, LIMIT = 0x1_2345_6000, 1 << 16


class _Loads:
    """Instructions, the memory and the maps on chip that they read, and where everything must end up."""

    def __init__(self, dut, *, seed: int):
        self.preset = PRESETS[parameters()["lanes"]]
        self.lanes = self.preset.channels
        sources, sinks = ("i", "data", "kept_data"), ("request", "kept_request")
        self.streams = Streams(dut, sources=sources, sinks=sinks, seed=seed)
        self.rng = random.Random(seed)
        self.memory, self.kept = (
            self.rng.randbytes(LIMIT),
            self.rng.randbytes(self.preset.kept_words * self.lanes),
        )
        self.counts = {"computed": 0, "stored": 0, "stored_kept": 0}
        self.expected: dict[tuple[int, int], int] = {}
        self.found: dict[tuple[int, int], int] = {}
        #: Of each request: address, length, and the counts that must have been reached.
        self.requests: list[tuple[int, int, int, int]] = []
        #: The same of the maps on chip, in words.
        self.kept_requests: list[tuple[int, int, int, int]] = []
        self.residuals: list[list[int]] = []
        self.residual: dict[int, int] = {}
        self.brought = self.freed = 0
        self.streams.watchers.append(self._watch)
        self.streams.drivers.append(self._count)

    async def begin(self) -> None:
        await self.streams.begin(base=BASE, limit=LIMIT, residual_freed=0, start=0, **self.counts)

    def give(self, opcode: Opcode, values: dict[str, int]) -> None:
        """With anything behind the fields, which the loader must not look at."""
        word = int.from_bytes(Instruction(opcode, values).encode(), "little")
        used = 8 + layout(opcode).size
        self.streams.queues["i"].append(word % (1 << used) | self.rng.getrandbits(BITS - used) << used)

    def word(self, addr: int, *, kept: int = 0) -> int:
        return int.from_bytes((self.kept if kept else self.memory)[addr : addr + self.lanes], "little")

    def features(self) -> None:
        rng, lanes, sizes = self.rng, self.lanes, (self.preset.channels, *self.preset.fold_bytes)
        kept, residual, twice = (rng.randint(0, 1) for _ in range(3))
        planes = 1 if residual else rng.randint(1, 3)
        columns = rng.choice([0, rng.randint(1, 20)])
        skip = rng.randint(0, 1) if twice and columns else 0
        words = -(-(columns + skip) // 2) if twice else columns
        left, right = rng.choice([0, rng.randint(0, 4)]), rng.choice([0, rng.randint(0, 4)])
        total = left + columns + right
        if total == 0:
            left = total = 1
        fold, window = rng.choice([0, rng.randrange(len(sizes))]), rng.randint(1, total)
        values = {
            "addr": lanes * rng.randrange(150 if kept else 1000),
            "stride": lanes * rng.randrange(150 if kept else 1000),
            "wait_compute": rng.randrange(20), "wait_store": rng.randrange(20), "last_plane": planes - 1,
            "words": words, "columns": columns, "left": left, "right": right, "base": rng.randrange(1 << 16),
            "plane_step": rng.randrange(1000), "lane_step": rng.randint(0, total), "window": window,
            "fill": rng.randrange(256), "twice": twice, "skip": skip, "fold": 0 if residual else fold,
            "kept": kept, "residual": residual, "share": rng.randint(0, SHARE_MOST),
        }  # fmt: skip
        self.give(Opcode.LOAD_FEATURES, values)
        for plane in range(planes):
            addr = values["addr"] + plane * values["stride"]
            waits = values["wait_compute"], values["wait_store"]
            if words and kept:
                self.kept_requests.append((addr // lanes, words, *waits))
            elif words:
                self.requests.append((BASE + addr, words * lanes, *waits))
            source = self.kept if kept else self.memory
            read = np.frombuffer(source, np.uint8, words * lanes, addr).reshape(words, lanes)
            shown = np.repeat(read, 2, axis=0)[skip:] if twice else read
            row = np.full((total, lanes), values["fill"], np.uint8)
            row[left : left + columns] = shown[:columns]
            folded = Loader.folded(row, sizes[values["fold"]])
            written = [int.from_bytes(each.tobytes(), "little") for each in folded]
            if residual:
                self.residuals.append(written)
                continue
            for lane in range(self.preset.pixels):
                for place, content in enumerate(written[lane * values["lane_step"] :][:window]):
                    at = values["base"] + plane * values["plane_step"] + place
                    at = wrapped_address(
                        at, values["base"], share=values["share"], depth=self.preset.feature_words
                    )
                    self.expected[lane, at] = content

    def weights(self) -> None:
        rng = self.rng
        beats = self.preset.weight_beats * rng.randint(1, 5)
        values = {
            "addr": self.lanes * rng.randrange(1000), "wait_compute": rng.randrange(20), "beats": beats,
            "base": rng.randrange(1000),
        }  # fmt: skip
        self.give(Opcode.LOAD_WEIGHTS, values)
        self.requests.append((BASE + values["addr"], beats * self.lanes, values["wait_compute"], 0))
        for index in range(beats):
            at, part = divmod(index, self.preset.weight_beats)
            self.expected[-1 - part, values["base"] + at] = self.word(values["addr"] + self.lanes * index)

    def _watch(self) -> None:
        """Answer requests, and keep what is written."""
        streams, lanes = self.streams, self.lanes
        for lane in range(self.preset.pixels):
            if streams.value("bank_write") >> lane & 1:
                at = streams.value("bank_addr") >> 16 * lane & 0xFFFF
                self.found[lane, at] = streams.value("bank_data")
        for part in range(self.preset.weight_beats):
            if streams.value("weight_write") >> part & 1:
                self.found[-1 - part, streams.value("weight_addr")] = streams.value("bank_data")
        self._watch_residual()
        if streams.value("kept_request_valid") and streams.value("kept_request_ready"):
            request = data.Const(RUN, streams.value("kept_request_payload"))
            self._expect((request.addr, request.words), "kept_request", "stored_kept")
            for index in range(request.words):
                streams.queues["kept_data"].append(self.word(self.lanes * (request.addr + index), kept=1))
        if streams.value("request_valid") and streams.value("request_ready"):
            request = streams.value("request_payload")
            addr, length = request & (1 << MEMORY_ADDR_BITS) - 1, request >> MEMORY_ADDR_BITS
            self._expect((addr, length), "request", "stored")
            for index in range(0, length, lanes):
                beat = self.word(addr - BASE + index) | ((1 << lanes) - 1) << 8 * lanes
                beat |= int(index + lanes == length) << 9 * lanes
                streams.queues["data"].append(beat)

    def _expect(self, found: tuple[int, int], sink: str, stored: str) -> None:
        addr, length, computes, rows = getattr(self, f"{sink}s")[len(self.streams.received[sink])]
        assert found == (addr, length)
        assert self.counts["computed"] >= computes, "it read before a compute was complete"
        assert self.counts[stored] >= rows, "it read before a row was stored"

    def _watch_residual(self) -> None:
        """A row is whole when it is said to be there, in a slot from which the last one has been read."""
        value = self.streams.value
        if value("residual_write"):
            assert self.brought - self.freed < self.preset.row_slots, (
                "it overwrote a row that was to be added"
            )
            self.residual[value("residual_addr")] = value("bank_data")
        if value("residual_ready"):
            start = self.brought % self.preset.row_slots * self.preset.row_words
            row = self.residuals[self.brought]
            assert [self.residual[start + place] for place in range(len(row))] == row
            self.brought += 1

    def _count(self) -> None:
        frees = self.brought > self.freed and self.streams.chance(0.01)
        self.streams.dut.residual_freed.value = frees
        self.freed += frees
        for name in self.counts:
            self.counts[name] = min(self.counts[name] + self.streams.chance(0.05), 20)
            getattr(self.streams.dut, name).value = self.counts[name]


@cocotb.test()
async def words_land_where_instructions_say(dut):
    for seed in range(parameters()["seeds"]):
        loads = _Loads(dut, seed=seed)
        await loads.begin()
        loads.streams.pauses = loads.rng.choice([0, 0.3, 0.7])
        for _ in range(parameters()["loads"]):
            loads.rng.choice([loads.features, loads.features, loads.weights])()
        count = parameters()["loads"]
        await loads.streams.until(lambda count=count, at=loads: at.streams.value("complete") == count)
        for sink, wanted in (("request", loads.requests), ("kept_request", loads.kept_requests)):
            assert len(loads.streams.received[sink]) == len(wanted)
        assert not loads.streams.queues["data"]
        assert not loads.streams.queues["kept_data"]
        assert loads.brought == len(loads.residuals)
        assert loads.found == loads.expected
        loads.streams.stop()


@cocotb.test()
async def beyond_the_limit_nothing_is_asked(dut):
    loads = _Loads(dut, seed=1)
    last = LIMIT - loads.preset.weight_beats * loads.lanes
    for addr in (last, last + loads.lanes, last):
        values = {"addr": addr, "wait_compute": 0, "beats": loads.preset.weight_beats, "base": 0}
        loads.give(Opcode.LOAD_WEIGHTS, values)
        loads.requests.append((BASE + addr, loads.preset.weight_beats * loads.lanes, 0, 0))
    await _stops_after_one(loads, "request", outside=last + loads.lanes)


@cocotb.test()
async def beyond_what_is_kept_nothing_is_asked(dut):
    loads = _Loads(dut, seed=1)
    last = loads.lanes * (loads.preset.kept_words - 3)
    for addr in (last, last + loads.lanes, last):
        values = dict.fromkeys((name for name, _, _ in FIELDS[Opcode.LOAD_FEATURES]), 0)
        loads.give(Opcode.LOAD_FEATURES, values | {"addr": addr, "kept": 1, "words": 3, "columns": 3})
        loads.kept_requests.append((addr // loads.lanes, 3, 0, 0))
    await _stops_after_one(loads, "kept_request", outside=last + loads.lanes)


async def _stops_after_one(loads: _Loads, sink: str, *, outside: int) -> None:
    seen = []
    loads.streams.watchers.append(
        lambda: seen.append(loads.streams.value("outside_addr")) if loads.streams.value("outside") else None
    )
    await loads.begin()
    await loads.streams.until(lambda: bool(seen))
    for _ in range(100):
        await loads.streams.cycle()
    assert seen == [outside]
    assert len(loads.streams.received[sink]) == loads.streams.value("complete") == 1
    loads.streams.stop()


BENCHES = tuple(
    Bench(
        name=f"tile_loader_{lanes}",
        component=partial(Loader, each),
        module=__name__,
        parameters={"seeds": 8, "loads": 60, "lanes": lanes},
    )
    for lanes, each in PRESETS.items()
)
