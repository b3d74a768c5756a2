"""The tile engine's sequencer beside plain loops: every beat in order, none before what it waits for.

Of windowed layers, beats that read a word and beats that multiply are written down apart, and laid together.
"""

import random
from functools import partial

import cocotb

from hw.tile.datapath import Datapath
from hw.tile.instruction import Instruction, Opcode
from hw.tile.parts import SHARE_MOST, wrapped_address
from hw.tile.preset import preset
from hw.tile.sequencer import BEAT, CONFIG, Sequencer
from sim.benches.runner import Bench, parameters
from sim.cocotb_streams import Streams

PRESET = preset("sim")
DRAIN_CYCLES = Datapath.drain_cycles(PRESET)
CONFIGURED = ("low", "high", "raw", "greatest", "last_column")


def beats_of(op: dict[str, int]) -> list[dict[str, int]]:
    """What a COMPUTE reads, in the order in which it reads it: biases, then its sums."""
    biases = {"biases": 1, "weight_addr": op["weights"]}
    return [biases, *(windowed_beats_of(op) if op["windowed"] else dense_beats_of(op))]


def feature_addr(op: dict[str, int], addr: int) -> int:
    """Where a word is, in the part of the banks in which the first one is."""
    return wrapped_address(addr, op["base"], share=op["share"], depth=PRESET.feature_words)


def dense_beats_of(op: dict[str, int]) -> list[dict[str, int]]:
    beats = []
    rows, columns = range(op["last_row"] + 1), range(op["last_column"] + 1)
    taps = [
        (digit, y, x, block)
        for digit in range(op["last_digit"] + 1)
        for y in range(op["last_tap_y"] + 1)
        for x in range(op["last_tap_x"] + 1)
        for block in range(op["last_block"] + 1)
    ]
    for row in rows:
        for column in columns:
            for index, (digit, y, x, block) in enumerate(taps):
                feature = op["base"] + row * op["row_step"] + column * op["column_step"]
                feature += y * op["tap_row_step"] + x + block * op["block_step"]
                beats.append(
                    {
                        "valid": 1, "feature_addr": feature_addr(op, feature),
                        "weight_addr": (op["weights"] + 1 + index) % (1 << 16), "first": int(index == 0),
                        "scales": int(digit > 0 and y == x == block == 0),
                        "last": int(index == len(taps) - 1), "row_first": int(column == 0),
                        "row_last": int(column == op["last_column"]), "opens": int(row == column == 0),
                        "windowed": 0, "slides": 0, "closes": 0, "upper": 0,
                    }
                )  # fmt: skip
    return beats


def windowed_beats_of(op: dict[str, int]) -> list[dict[str, int]]:
    """In period n, window n is read and window n - 1 multiplied: as many beats as the longer of both has."""
    reads, sums = words_of_windows(op), sums_of_windows(op)
    beats = []
    for read, products in zip([*reads, []], [[], *sums], strict=True):
        for index in range(max(len(read), len(products))):
            beat = {"windowed": 1, "valid": 0, "slides": 0, "closes": 0}
            if index < len(read):
                beat |= {"slides": 1, "feature_addr": read[index]}
            if index < len(products):
                beat |= products[index]
            beats.append(beat)
        beats[-1]["closes"] = 1
    return beats


def words_of_windows(op: dict[str, int]) -> list[list[int]]:
    """Addresses of the words that each window has and the one to its left has not, column by column."""
    windows, width, stride = [], op["last_tap_x"] + 1, op["column_step"]
    for row in range(op["last_row"] + 1):
        for column in range(op["last_column"] + 1):
            columns = set(range(column * stride, column * stride + width))
            if column:
                columns -= set(range((column - 1) * stride, (column - 1) * stride + width))
            at = op["base"] + row * op["row_step"]
            windows.append(
                [
                    feature_addr(op, at + x + y * op["tap_row_step"])
                    for x in sorted(columns)
                    for y in range(op["last_tap_y"] + 1)
                ]
            )
    return windows


def sums_of_windows(op: dict[str, int]) -> list[list[dict[str, int]]]:
    passes = [(d, b) for d in range(op["last_digit"] + 1) for b in range(op["last_block"] + 1)]
    return [
        [
            {
                "valid": 1, "weight_addr": (op["weights"] + 1 + index) % (1 << 16), "first": int(index == 0),
                "scales": int(digit > 0 and block == 0), "last": int(index == len(passes) - 1),
                "row_first": int(column == 0), "row_last": int(column == op["last_column"]),
                "opens": int(row == column == 0), "upper": int(block > 0),
            }
            for index, (digit, block) in enumerate(passes)
        ]
        for row in range(op["last_row"] + 1)
        for column in range(op["last_column"] + 1)
    ]  # fmt: skip


class _Computes:
    """Instructions, the beats that they mean, and what the sequencer makes of them."""

    def __init__(self, dut, *, seed: int):
        self.streams = Streams(dut, sources=("i",), sinks=(), seed=seed)
        self.rng = random.Random(seed)
        self.expected: list[dict[str, int]] = []
        self.configs: list[dict[str, int]] = []
        self.waits: list[int] = []
        self.layers: list[tuple[int, int]] = []
        self.seen: list[dict[str, int]] = []
        self.loaded = self.cycle = self.rows = self.freed = self.instruction = 0
        self.found_layers: list[tuple[int, int]] = []
        self.last_sum = self.first_sum = -1000
        self.streams.watchers.append(self._watch)
        self.streams.drivers.append(self._drive)

    async def begin(self) -> None:
        await self.streams.begin(loaded=0, slot_freed=0, start=0)

    def _give(self, opcode: Opcode, values: dict[str, int]) -> None:
        word = Instruction(opcode, values).encode()
        self.streams.queues["i"].append(int.from_bytes(word, "little"))

    def compute(self) -> None:
        rng = self.rng
        small = rng.choice([1, 1, 3])  # sums shorter than there are pixel lanes are held back
        values = {name: rng.randrange(1 << 16) for name in ("base", "weights", "row_step", "tap_row_step")}
        values |= {"block_step": rng.randrange(1 << 16), "column_step": rng.randrange(256)}
        values |= {
            "wait_load": rng.randrange(30), "last_digit": rng.randrange(small),
            "last_block": rng.randrange(small), "last_tap_x": rng.randrange(small),
            "last_tap_y": rng.randrange(small), "last_column": rng.randrange(5), "last_row": rng.randrange(4),
            "low": rng.randrange(256), "high": rng.randrange(256), "raw": rng.randrange(2),
            "greatest": rng.randrange(2), "windowed": rng.randrange(2), "share": rng.randint(0, SHARE_MOST),
        }  # fmt: skip
        if values["windowed"]:  # of neighbours that overlap, as all windows do
            values |= {"last_tap_x": rng.randrange(3), "last_tap_y": rng.randrange(3)}
            values["column_step"] = rng.randint(1, values["last_tap_x"] + 1)
        self._give(Opcode.COMPUTE, values)
        self.expected += beats_of(values)
        self.waits.append(values["wait_load"])
        self.configs.append({name: values[name] for name in CONFIGURED})

    def layer(self) -> None:
        index, first = self.rng.randrange(256), self.rng.randrange(2)
        self.layers.append((index, first))
        self._give(Opcode.LAYER, {"index": index, "first": first})

    def _watch(self) -> None:
        streams = self.streams
        self.cycle += 1
        if streams.value("layer"):
            self.found_layers.append((streams.value("layer_index"), streams.value("layer_first")))
        beat = {name: streams.value("beat") >> field.offset & 1 for name, field in BEAT}
        if beat["biases"]:
            self._begins()
        if not (beat["biases"] or beat["valid"] or beat["slides"]):
            return
        wanted = self.expected[len(self.seen)]
        found = {"weight_addr": streams.value("weight_addr"), "feature_addr": streams.value("feature_addr")}
        found |= {name: beat[name] for name in wanted if name in beat}
        assert {name: found[name] for name in wanted} == wanted
        self.seen.append(wanted)
        if beat["valid"]:
            self._advances(beat)

    def _begins(self) -> None:
        """The biases of the next instruction, which must not overtake the last one's results."""
        assert self.loaded >= self.waits[self.instruction], "it began before a load was complete"
        assert self.cycle - self.first_sum >= DRAIN_CYCLES, "biases overtook the results before them"
        self.instruction += 1

    def _advances(self, beat: dict[str, int]) -> None:
        config = self.streams.value("config")
        fields = {name: config >> field.offset & (1 << field.width) - 1 for name, field in CONFIG}
        assert fields == self.configs[self.instruction - 1]
        if beat["first"] and beat["row_first"]:
            self.rows += 1
            assert self.rows - self.freed <= PRESET.row_slots, "a row began without a slot"
        if beat["last"]:
            assert self.cycle - self.last_sum >= PRESET.pixels, "a sum was complete too soon"
            self.last_sum = self.cycle
            if beat["opens"]:
                self.first_sum = self.cycle

    def _drive(self) -> None:
        self.loaded = min(self.loaded + self.streams.chance(0.1), 30)
        frees = self.rows > self.freed and self.streams.chance(0.1)
        self.streams.dut.loaded.value = self.loaded
        self.streams.dut.slot_freed.value = frees
        self.freed += frees


@cocotb.test()
async def beats_are_those_of_plain_loops(dut):
    for seed in range(parameters()["seeds"]):
        computes = _Computes(dut, seed=seed)
        await computes.begin()
        for _ in range(parameters()["computes"]):
            computes.compute()
            if computes.rng.random() < 0.3:
                computes.layer()
        await computes.streams.until(
            lambda at=computes: len(at.seen) == len(at.expected) and at.found_layers == at.layers
        )
        assert computes.streams.value("complete") == parameters()["computes"]
        computes.streams.stop()


BENCHES = (
    Bench(
        name="tile_sequencer",
        component=partial(Sequencer, PRESET, drain_cycles=DRAIN_CYCLES),
        module=__name__,
        parameters={"seeds": 6, "computes": 30},
    ),
)
