"""The tile engine's storer between row slots in Python and a bus that stalls: each row once, in its place.

Rows go to memory or stay on chip, with or without another one added, in any order.
"""

import random
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import cocotb

from hw.overlay.description import MEMORY_ADDR_BITS
from hw.tile.instruction import Instruction, Opcode
from hw.tile.preset import preset
from hw.tile.residual import OFFSET_BITS, SUM, Residual
from hw.tile.storer import Storer
from sim.benches.runner import Bench, parameters
from sim.cocotb_streams import Streams

PRESET = preset("sim")
BASE, LIMIT = 0x1_2345_6000, 1 << 24
WORD = PRESET.channels


@dataclass
class _Row:
    """A row that a STORE names: what is in its slots, what is done to it, and where it goes on chip."""

    words: list[int]
    others: list[int]
    how: dict[str, int]
    kept_addr: int | None

    @property
    def sums(self) -> list[int]:
        return [_sum(word, other, self.how) for word, other in zip(self.words, self.others, strict=True)]


def _sum(word: int, other: int, how: dict[str, int]) -> int:
    """What the adders make of a word, byte by byte."""
    found = (
        Residual.compute(
            byte, added * how["adds"], offset=how["offset"], halves=bool(how["halves"]), low=how["low"],
            high=how["high"],
        )
        for byte, added in zip(word.to_bytes(WORD, "little"), other.to_bytes(WORD, "little"), strict=True)
    )  # fmt: skip
    return int.from_bytes(bytes(found), "little")


class _Slots:
    """Rows that wait for the storer in a memory, and how many it has given back."""

    def __init__(self):
        self.memory: dict[int, int] = {}
        self.filled = self.freed = 0

    @property
    def room(self) -> bool:
        return self.filled - self.freed < PRESET.row_slots

    def fill(self, words: list[int]) -> None:
        start = self.filled % PRESET.row_slots * PRESET.row_words
        self.memory |= {start + place: word for place, word in enumerate(words)}
        self.filled += 1


class _Stores:
    """Instructions, the rows that a datapath finishes and a loader brings for them, and what must leave."""

    def __init__(self, dut, *, seed: int):
        self.streams = Streams(dut, sources=("i",), sinks=("request", "data"), seed=seed)
        self.rng = random.Random(seed)
        self.rows: list[_Row] = []
        self.requests: list[tuple[int, int]] = []
        self.slots, self.residuals = _Slots(), _Slots()
        self.reads: list[tuple[int, int]] = []
        self.sums: list[int] = []
        self.kept: list[tuple[int, int]] = []  #: address and word
        self.adds = 0  #: of the cycle before
        self.kept_ends: list[int] = []  #: how many words there were when a row was said to be complete
        self.streams.watchers.append(self._watch)
        self.streams.drivers.append(self._drive)

    async def begin(self) -> None:
        await self.streams.begin(base=BASE, limit=LIMIT, row_ready=0, residual_ready=0, word=0, start=0)

    def give(self, *, addr: int, stride: int, rows: int, words: int, kept: bool, adds: bool) -> None:
        rng = self.rng
        how = {
            "adds": int(adds), "offset": rng.randrange(-512, 512), "halves": rng.randrange(2),
            "low": rng.randrange(128), "high": rng.randrange(128, 256),
        }  # fmt: skip
        values = how | {"offset": how["offset"] % (1 << OFFSET_BITS), "kept": int(kept)}
        values |= {"addr": addr, "stride": stride, "last_row": rows - 1, "words": words}
        word = Instruction(Opcode.STORE, values).encode()
        self.streams.queues["i"].append(int.from_bytes(word, "little"))
        for row in range(rows):
            own, others = ([rng.getrandbits(8 * WORD) for _ in range(words)] for _ in range(2))
            self.rows.append(_Row(own, others, how, (addr + row * stride) // WORD if kept else None))
            if not kept:
                self.requests.append((BASE + addr + row * stride, words * WORD))

    @property
    def to_memory(self) -> list[int]:
        return [word for row in self.rows if row.kept_addr is None for word in row.sums]

    @property
    def to_chip(self) -> list[list[tuple[int, int]]]:
        return [list(enumerate(row.sums, row.kept_addr)) for row in self.rows if row.kept_addr is not None]

    def _watch(self) -> None:
        """Slots answer after some cycles, and the adders after some more; what stays on chip is noted."""
        value = self.streams.value
        places = (self.slots, "addr", "freed"), (self.residuals, "residual_addr", "residual_freed")
        word, other = (slots.memory.get(value(addr), 0) for slots, addr, _ in places)
        self.reads.append((word, other))
        if len(self.reads) > Storer.SLOT_CYCLES:
            self.sums.append(_sum(*self.reads.pop(0), self._how() | {"adds": self.adds}))
        self.adds = value("adds")
        for slots, _, freed in places:
            slots.freed += value(freed)
            assert slots.freed <= slots.filled, f"{freed}: a slot that holds no row"
        if value("kept_write"):
            self.kept.append((value("kept_addr"), value("word")))
        if value("kept"):
            self.kept_ends.append(len(self.kept))

    def _how(self) -> dict[str, int]:
        bits = self.streams.value("how")
        fields = {name: bits >> field.offset & (1 << field.width) - 1 for name, field in SUM}
        return fields | {"offset": (fields["offset"] ^ 512) - 512}

    def _drive(self) -> None:
        dut = self.streams.dut
        if len(self.sums) >= Residual.LATENCY_CYCLES:
            dut.word.value = self.sums.pop(0)
        adding = [row for row in self.rows if row.how["adds"]]
        finishes = self.slots.room and self.slots.filled < len(self.rows) and self.streams.chance(0.1)
        brings = self.residuals.room and self.residuals.filled < len(adding) and self.streams.chance(0.1)
        if finishes:
            self.slots.fill(self.rows[self.slots.filled].words)
        if brings:
            self.residuals.fill(adding[self.residuals.filled].others)
        dut.row_ready.value, dut.residual_ready.value = finishes, brings


@cocotb.test()
async def rows_leave_in_order_and_whole(dut):
    for seed in range(parameters()["seeds"]):
        stores = _Stores(dut, seed=seed)
        rng, room = stores.rng, PRESET.kept_words
        await stores.begin()
        stores.streams.pauses = rng.choice([0, 0.3, 0.7])
        for _ in range(parameters()["stores"]):
            kept, rows, words = rng.random() < 0.5, rng.randint(1, 6), rng.randint(1, PRESET.row_words)
            step = rng.randrange((room - words) // max(rows - 1, 1) + 1 if kept else 1000)
            stores.give(
                addr=WORD * rng.randrange(room - words - (rows - 1) * step + 1 if kept else 1000),
                stride=WORD * step, rows=rows, words=words, kept=kept, adds=rng.random() < 0.5,
            )  # fmt: skip
        await _all_left(stores)
        stores.streams.stop()


async def _all_left(stores: _Stores) -> None:
    got, words, rows = stores.streams.received, stores.to_memory, stores.to_chip
    kept = [word for row in rows for word in row]
    await stores.streams.until(lambda: (len(got["data"]), len(stores.kept)) == (len(words), len(kept)))
    mask = (1 << 8 * WORD) - 1
    assert [beat & mask for beat in got["data"]] == words
    assert all(beat >> 8 * WORD & (1 << WORD) - 1 == (1 << WORD) - 1 for beat in got["data"])
    addr = (1 << MEMORY_ADDR_BITS) - 1
    assert [(one & addr, one >> MEMORY_ADDR_BITS) for one in got["request"]] == stores.requests
    assert stores.kept == kept
    assert stores.kept_ends == list(accumulate(len(row) for row in rows))
    assert stores.slots.freed == len(stores.rows)
    assert stores.residuals.freed == sum(row.how["adds"] for row in stores.rows)
    assert stores.streams.value("requested") == len(stores.requests)


@cocotb.test()
async def beyond_the_limit_nothing_is_asked(dut):
    for kept, limit, asked in ((False, LIMIT, 2), (True, PRESET.kept_words * WORD, 0)):
        stores = _Stores(dut, seed=1)
        seen = []

        def look(streams=stores.streams, seen=seen) -> None:
            if streams.value("outside"):
                seen.append(streams.value("outside_addr"))

        stores.streams.watchers.append(look)
        await stores.begin()
        stores.give(addr=limit - 12 * WORD, stride=10 * WORD, rows=3, words=2, kept=kept, adds=False)
        await stores.streams.until(lambda seen=seen: bool(seen))
        for _ in range(200):
            await stores.streams.cycle()
        assert seen == [limit + 8 * WORD]
        assert len(stores.streams.received["request"]) == asked
        stores.streams.stop()


BENCHES = (
    Bench(
        name="tile_storer",
        component=partial(Storer, PRESET),
        module=__name__,
        parameters={"seeds": 6, "stores": 20},
    ),
)
