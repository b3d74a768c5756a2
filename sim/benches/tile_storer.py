"""The tile engine's storer between row slots in Python and a bus that stalls: each row once, in its place."""

import random
from functools import partial

import cocotb

from hw.overlay.description import MEMORY_ADDR_BITS
from hw.tile.instruction import Instruction, Opcode
from hw.tile.preset import preset
from hw.tile.storer import Storer
from sim.benches.runner import Bench, parameters
from sim.cocotb_streams import Streams

PRESET = preset("sim")
BASE, LIMIT = 0x1_2345_6000, 1 << 24
WORD = PRESET.channels


class _Stores:
    """Instructions, the rows that a datapath finishes for them, and what must leave."""

    def __init__(self, dut, *, seed: int):
        self.streams = Streams(dut, sources=("i",), sinks=("request", "data"), seed=seed)
        self.rng = random.Random(seed)
        self.rows: list[list[int]] = []
        self.requests: list[tuple[int, int]] = []
        self.finished = self.freed = 0
        self.slots: dict[int, int] = {}
        self.on_way: list[int] = []
        self.streams.watchers.append(self._watch)
        self.streams.drivers.append(self._drive)

    async def begin(self) -> None:
        await self.streams.begin(base=BASE, limit=LIMIT, row_ready=0, word=0, start=0)

    def give(self, *, addr: int, stride: int, rows: int, words: int) -> None:
        values = {"addr": addr, "stride": stride, "last_row": rows - 1, "words": words}
        word = Instruction(Opcode.STORE, values).encode()
        self.streams.queues["i"].append(int.from_bytes(word, "little"))
        for row in range(rows):
            self.rows.append([self.rng.getrandbits(8 * WORD) for _ in range(words)])
            self.requests.append((BASE + addr + row * stride, words * WORD))

    def _watch(self) -> None:
        """The slots answer two cycles later."""
        self.on_way.append(self.slots.get(self.streams.value("addr"), 0))
        self.freed += self.streams.value("freed")
        assert self.freed <= self.finished, "it freed a slot that holds no row"

    def _drive(self) -> None:
        if len(self.on_way) >= Storer.READ_CYCLES:
            self.streams.dut.word.value = self.on_way.pop(0)
        room = self.finished - self.freed < PRESET.row_slots and self.finished < len(self.rows)
        finishes = room and self.streams.chance(0.1)
        if finishes:
            start = self.finished % PRESET.row_slots * PRESET.row_words
            for place, word in enumerate(self.rows[self.finished]):
                self.slots[start + place] = word
            self.finished += 1
        self.streams.dut.row_ready.value = finishes


@cocotb.test()
async def rows_leave_in_order_and_whole(dut):
    for seed in range(parameters()["seeds"]):
        stores = _Stores(dut, seed=seed)
        await stores.begin()
        stores.streams.pauses = stores.rng.choice([0, 0.3, 0.7])
        for _ in range(parameters()["stores"]):
            stores.give(
                addr=WORD * stores.rng.randrange(1000), stride=WORD * stores.rng.randrange(1000),
                rows=stores.rng.randint(1, 6), words=stores.rng.randint(1, PRESET.row_words),
            )  # fmt: skip
        words = [word for row in stores.rows for word in row]
        got = stores.streams.received
        await stores.streams.until(lambda got=got, words=words: len(got["data"]) == len(words))
        mask = (1 << 8 * WORD) - 1
        assert [beat & mask for beat in got["data"]] == words
        assert all(beat >> 8 * WORD & (1 << WORD) - 1 == (1 << WORD) - 1 for beat in got["data"])
        addr = (1 << MEMORY_ADDR_BITS) - 1
        assert [(one & addr, one >> MEMORY_ADDR_BITS) for one in got["request"]] == stores.requests
        assert stores.freed == len(stores.rows) == stores.streams.value("requested")
        stores.streams.stop()


@cocotb.test()
async def beyond_the_limit_nothing_is_asked(dut):
    stores = _Stores(dut, seed=1)
    seen = []
    stores.streams.watchers.append(
        lambda: seen.append(stores.streams.value("outside_addr")) if stores.streams.value("outside") else None
    )
    await stores.begin()
    stores.give(addr=LIMIT - 12 * WORD, stride=10 * WORD, rows=3, words=2)
    await stores.streams.until(lambda: bool(seen))
    for _ in range(200):
        await stores.streams.cycle()
    assert seen == [LIMIT + 8 * WORD]
    assert len(stores.streams.received["request"]) == 2


BENCHES = (
    Bench(
        name="tile_storer",
        component=partial(Storer, PRESET),
        module=__name__,
        parameters={"seeds": 6, "stores": 20},
    ),
)
