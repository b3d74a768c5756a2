"""The tile engine's loader before a memory in Python: words land where the instructions say."""

import random
from functools import partial

import cocotb

from hw.overlay.description import MEMORY_ADDR_BITS
from hw.tile.instruction import Instruction, Opcode
from hw.tile.loader import Loader
from hw.tile.preset import preset
from sim.benches.runner import Bench, parameters
from sim.cocotb_streams import Streams

PRESET = preset("sim")
BASE, LIMIT = 0x1_2345_6000, 1 << 16
WORD = PRESET.channels


class _Loads:
    """Instructions, the memory they read, and where everything must end up."""

    def __init__(self, dut, *, seed: int):
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
        word = Instruction(opcode, values).encode()
        self.streams.queues["i"].append(int.from_bytes(word, "little"))

    def word(self, addr: int) -> int:
        return int.from_bytes(self.memory[addr : addr + WORD], "little")

    def features(self) -> None:
        rng = self.rng
        planes, twice, skip = rng.randint(1, 3), rng.randint(0, 1), 0
        columns = rng.choice([0, rng.randint(1, 20)])
        skip = rng.randint(0, 1) if twice and columns else 0
        words = -(-(columns + skip) // 2) if twice else columns
        left, right = rng.choice([0, rng.randint(0, 4)]), rng.choice([0, rng.randint(0, 4)])
        total = left + columns + right
        if total == 0:
            left = total = 1
        window = rng.randint(1, total)
        values = {
            "addr": WORD * rng.randrange(1000), "stride": WORD * rng.randrange(1000),
            "wait_compute": rng.randrange(20), "wait_store": rng.randrange(20), "last_plane": planes - 1,
            "words": words, "columns": columns, "left": left, "right": right, "base": rng.randrange(1 << 16),
            "plane_step": rng.randrange(1000), "lane_step": rng.randint(0, total), "window": window,
            "fill": rng.randrange(256), "twice": twice, "skip": skip,
        }  # fmt: skip
        self.give(Opcode.LOAD_FEATURES, values)
        for plane in range(planes):
            addr = values["addr"] + plane * values["stride"]
            if words:
                waits = values["wait_compute"], values["wait_store"]
                self.requests.append((BASE + addr, words * WORD, *waits))
            read = [self.word(addr + WORD * index) for index in range(words)]
            shown = [each for each in read for _ in range(2)][skip:] if twice else read
            fill = int.from_bytes(bytes([values["fill"]]) * WORD, "little")
            row = [fill] * left + shown[:columns] + [fill] * right
            for lane in range(PRESET.pixels):
                for place, content in enumerate(row[lane * values["lane_step"] :][:window]):
                    at = values["base"] + plane * values["plane_step"] + place
                    self.expected[lane, at % (1 << 16)] = content

    def weights(self) -> None:
        rng = self.rng
        beats = PRESET.weight_beats * rng.randint(1, 5)
        values = {
            "addr": WORD * rng.randrange(1000), "wait_compute": rng.randrange(20), "beats": beats,
            "base": rng.randrange(1000),
        }  # fmt: skip
        self.give(Opcode.LOAD_WEIGHTS, values)
        self.requests.append((BASE + values["addr"], beats * WORD, values["wait_compute"], 0))
        for index in range(beats):
            part, at = index % PRESET.weight_beats, values["base"] + index // PRESET.weight_beats
            self.expected[-1 - part, at] = self.word(values["addr"] + WORD * index)

    def _watch(self) -> None:
        """Answer requests, and keep what is written."""
        streams = self.streams
        for lane in range(PRESET.pixels):
            if streams.value("bank_write") >> lane & 1:
                at = streams.value("bank_addr") >> 16 * lane & 0xFFFF
                self.found[lane, at] = streams.value("bank_data")
        for part in range(PRESET.weight_beats):
            if streams.value("weight_write") >> part & 1:
                self.found[-1 - part, streams.value("weight_addr")] = streams.value("bank_data")
        if streams.value("request_valid") and streams.value("request_ready"):
            request = streams.value("request_payload")
            addr, length = request & (1 << MEMORY_ADDR_BITS) - 1, request >> MEMORY_ADDR_BITS
            expected = self.requests[len(streams.received["request"])]
            assert (addr, length) == expected[:2]
            assert self.counts["computed"] >= expected[2], "it read before a compute was complete"
            assert self.counts["stored"] >= expected[3], "it read before a row was in memory"
            for index in range(0, length, WORD):
                beat = self.word(addr - BASE + index) | ((1 << WORD) - 1) << 8 * WORD
                beat |= int(index + WORD == length) << 9 * WORD
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
    last = LIMIT - PRESET.weight_beats * WORD
    for addr in (last, last + WORD, last):
        values = {"addr": addr, "wait_compute": 0, "beats": PRESET.weight_beats, "base": 0}
        loads.give(Opcode.LOAD_WEIGHTS, values)
        loads.requests.append((BASE + addr, PRESET.weight_beats * WORD, 0, 0))
    await loads.streams.until(lambda: bool(seen))
    for _ in range(100):
        await loads.streams.cycle()
    assert seen == [last + WORD]
    assert len(loads.streams.received["request"]) == loads.streams.value("complete") == 1


BENCHES = (
    Bench(
        name="tile_loader",
        component=partial(Loader, PRESET),
        module=__name__,
        parameters={"seeds": 8, "loads": 60},
    ),
)
