"""The tile engine's loader before a memory in Python: words land where the instructions say."""

import random
from functools import partial

import cocotb
import numpy as np

from hw.overlay.description import MEMORY_ADDR_BITS
from hw.tile.instruction import BITS, Instruction, Opcode, layout
from hw.tile.loader import Loader
from hw.tile.preset import preset
from sim.benches.runner import Bench, parameters
from sim.cocotb_streams import Streams

#: One of each number of lanes, for pixels are folded otherwise.
PRESETS = {8: preset("sim"), 16: preset("z7020").replace(name="two", pixels=2)}
BASE, LIMIT = 0x1_2345_6000, 1 << 16


class _Loads:
    """Instructions, the memory they read, and where everything must end up."""

    def __init__(self, dut, *, seed: int):
        self.preset = PRESETS[parameters()["lanes"]]
        self.lanes = self.preset.channels
        self.streams = Streams(dut, sources=("i", "data"), sinks=("request",), seed=seed)
        self.rng = random.Random(seed)
        self.memory = self.rng.randbytes(LIMIT)
        self.counts = {"computed": 0, "stored": 0}
        self.expected: dict[tuple[int, int], int] = {}
        self.found: dict[tuple[int, int], int] = {}
        #: Of each request: address, length, and the counts that must have been reached.
        self.requests: list[tuple[int, int, int, int]] = []
        self.streams.watchers.append(self._watch)
        self.streams.drivers.append(self._count)

    async def begin(self) -> None:
        await self.streams.begin(base=BASE, limit=LIMIT, computed=0, stored=0, start=0)

    def give(self, opcode: Opcode, values: dict[str, int]) -> None:
        """With anything behind the fields, which the loader must not look at."""
        word = int.from_bytes(Instruction(opcode, values).encode(), "little")
        used = 8 + layout(opcode).size
        self.streams.queues["i"].append(word % (1 << used) | self.rng.getrandbits(BITS - used) << used)

    def word(self, addr: int) -> int:
        return int.from_bytes(self.memory[addr : addr + self.lanes], "little")

    def features(self) -> None:
        rng, lanes, sizes = self.rng, self.lanes, (self.preset.channels, *self.preset.fold_bytes)
        planes, twice, skip = rng.randint(1, 3), rng.randint(0, 1), 0
        columns = rng.choice([0, rng.randint(1, 20)])
        skip = rng.randint(0, 1) if twice and columns else 0
        words = -(-(columns + skip) // 2) if twice else columns
        left, right = rng.choice([0, rng.randint(0, 4)]), rng.choice([0, rng.randint(0, 4)])
        total = left + columns + right
        if total == 0:
            left = total = 1
        fold, window = rng.choice([0, rng.randrange(len(sizes))]), rng.randint(1, total)
        values = {
            "addr": lanes * rng.randrange(1000), "stride": lanes * rng.randrange(1000),
            "wait_compute": rng.randrange(20), "wait_store": rng.randrange(20), "last_plane": planes - 1,
            "words": words, "columns": columns, "left": left, "right": right, "base": rng.randrange(1 << 16),
            "plane_step": rng.randrange(1000), "lane_step": rng.randint(0, total), "window": window,
            "fill": rng.randrange(256), "twice": twice, "skip": skip,
            "fold": fold,
        }  # fmt: skip
        self.give(Opcode.LOAD_FEATURES, values)
        for plane in range(planes):
            addr = values["addr"] + plane * values["stride"]
            if words:
                waits = values["wait_compute"], values["wait_store"]
                self.requests.append((BASE + addr, words * lanes, *waits))
            read = np.frombuffer(self.memory, np.uint8, words * lanes, addr).reshape(words, lanes)
            shown = np.repeat(read, 2, axis=0)[skip:] if twice else read
            row = np.full((total, lanes), values["fill"], np.uint8)
            row[left : left + columns] = shown[:columns]
            written = [int.from_bytes(each.tobytes(), "little") for each in Loader.folded(row, sizes[fold])]
            for lane in range(self.preset.pixels):
                for place, content in enumerate(written[lane * values["lane_step"] :][:window]):
                    at = values["base"] + plane * values["plane_step"] + place
                    self.expected[lane, at % (1 << 16)] = content

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
        if streams.value("request_valid") and streams.value("request_ready"):
            request = streams.value("request_payload")
            addr, length = request & (1 << MEMORY_ADDR_BITS) - 1, request >> MEMORY_ADDR_BITS
            expected = self.requests[len(streams.received["request"])]
            assert (addr, length) == expected[:2]
            assert self.counts["computed"] >= expected[2], "it read before a compute was complete"
            assert self.counts["stored"] >= expected[3], "it read before a row was in memory"
            for index in range(0, length, lanes):
                beat = self.word(addr - BASE + index) | ((1 << lanes) - 1) << 8 * lanes
                beat |= int(index + lanes == length) << 9 * lanes
                streams.queues["data"].append(beat)

    def _count(self) -> None:
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
        assert len(loads.streams.received["request"]) == len(loads.requests)
        assert not loads.streams.queues["data"]
        assert loads.found == loads.expected
        loads.streams.stop()


@cocotb.test()
async def beyond_the_limit_nothing_is_asked(dut):
    loads = _Loads(dut, seed=1)
    seen = []
    loads.streams.watchers.append(
        lambda: seen.append(loads.streams.value("outside_addr")) if loads.streams.value("outside") else None
    )
    await loads.begin()
    beats, lanes = loads.preset.weight_beats, loads.lanes
    last = LIMIT - beats * lanes
    for addr in (last, last + lanes, last):
        values = {"addr": addr, "wait_compute": 0, "beats": beats, "base": 0}
        loads.give(Opcode.LOAD_WEIGHTS, values)
        loads.requests.append((BASE + addr, beats * lanes, 0, 0))
    await loads.streams.until(lambda: bool(seen))
    for _ in range(100):
        await loads.streams.cycle()
    assert seen == [last + lanes]
    assert len(loads.streams.received["request"]) == loads.streams.value("complete") == 1


BENCHES = tuple(
    Bench(
        name=f"tile_loader_{lanes}",
        component=partial(Loader, each),
        module=__name__,
        parameters={"seeds": 8, "loads": 60, "lanes": lanes},
    )
    for lanes, each in PRESETS.items()
)
