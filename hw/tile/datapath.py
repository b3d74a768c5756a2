"""The engine's memories and arithmetic: words read, products summed, results requantised into row slots."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.arith.requantise import Requantise
from hw.arith.shift_lane import ShiftArray
from hw.tile.delay import later
from hw.tile.operands import Operands
from hw.tile.preset import Preset
from hw.tile.sequencer import BEAT, CONFIG
from models.program.digits import DIGIT_BITS, RADIX

__all__ = ["Datapath"]


class Datapath(wiring.Component):
    """Feature banks, weight memory, shift array, accumulators, maxima, requantisers and row slots.

    A beat of the sequencer meets its operands `READ_CYCLES` later and is in the results after
    `drain_cycles`; the results leave one pixel lane a cycle. No back-pressure: the sequencer sees to it that
    there is room.
    """

    READ_CYCLES = 3

    def __init__(self, preset: Preset, *, technology: str | None = None):
        self.preset, self._technology = preset, technology
        self.array = ShiftArray(pixels=preset.pixels, channels=preset.channels, technology=technology)
        super().__init__(
            {
                "bank_addr": In(data.ArrayLayout(16, preset.pixels)),
                "bank_write": In(preset.pixels),
                "bank_data": In(preset.bus_bits),
                "weight_write_addr": In(16),
                "weight_write": In(preset.weight_beats),
                "feature_addr": In(16),
                "weight_addr": In(16),
                "beat": In(BEAT),
                "config": In(CONFIG),
                "row_ready": Out(1),
                "slot_addr": In(range(preset.row_slots * preset.row_words)),
                "slot_word": Out(preset.bus_bits),
            }
        )

    @staticmethod
    def drain_cycles(preset: Preset) -> int:
        """From a beat to the results it completes, biases in place."""
        return Datapath.READ_CYCLES + 2 + ShiftArray.latency(preset.channels) + 1

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.array = self.array
        addressed = _later(m, self.beat, 1, "addressed")
        read = _later(m, addressed, 1, "read")
        beat = _later(m, read, self.READ_CYCLES - 2, "operands")
        self._operands(m, self._features(m), addressed, read, beat)
        weights = self._weights(m)
        pending = Signal(self.preset.channels * 32)
        with m.If(beat.biases):
            m.d.sync += pending.eq(weights)
        late = _later(m, beat, self.array.latency_cycles, "array")
        sums = self._accumulate(m, late)
        greatest = self._greatest(m, late)
        self._finish(m, _later(m, late, 1, "capture"), pending, sums, greatest)
        return m

    def _features(self, m: Module) -> list[Signal]:
        """The words of the pixel lanes, in step with the beat that is read."""
        preset, words = self.preset, []
        for p in range(preset.pixels):
            bank = memory.Memory(shape=preset.bus_bits, depth=preset.feature_words, init=())
            m.submodules[f"bank_{p}"] = bank
            write, read = bank.write_port(), bank.read_port()
            word = Signal(preset.bus_bits, name=f"feature_{p}", reset_less=True)
            m.d.comb += [
                write.addr.eq(self.bank_addr[p]),
                write.en.eq(self.bank_write[p]),
                write.data.eq(self.bank_data),
                read.addr.eq(self.feature_addr),
                read.en.eq(1),
            ]
            m.d.sync += word.eq(read.data)
            words.append(word)
        return words

    def _operands(self, m: Module, words: list[Signal], addressed, read, beat) -> None:
        """Words go straight to the array, those of a window once it is closed and the last one slid in."""
        takes, windowed = Signal(), Signal()
        m.d.sync += [
            takes.eq((addressed.valid & ~addressed.windowed) | read.closes),
            windowed.eq(read.closes),
        ]
        for p, word in enumerate(words):
            m.submodules[f"operands_{p}"] = unit = Operands(
                channels=self.preset.channels, technology=self._technology
            )
            m.d.comb += [
                unit.word.eq(word),
                unit.slides.eq(read.slides),
                unit.takes.eq(takes),
                unit.windowed.eq(windowed),
                unit.upper.eq(beat.upper),
                self.array.x[p].as_value().eq(unit.x.as_value()),
            ]

    def _weights(self, m: Module) -> Value:
        """Connect the array's weights; return the word, in step with the operands."""
        preset, parts = self.preset, []
        address = later(m, self.weight_addr, self.READ_CYCLES - 2, "weight_addr")
        for index in range(preset.weight_beats):
            part = memory.Memory(shape=preset.bus_bits, depth=preset.weight_words, init=())
            m.submodules[f"weights_{index}"] = part
            write, read = part.write_port(), part.read_port()
            word = Signal(preset.bus_bits, name=f"weight_{index}", reset_less=True)
            m.d.comb += [
                write.addr.eq(self.weight_write_addr),
                write.en.eq(self.weight_write[index]),
                write.data.eq(self.bank_data),
                read.addr.eq(address),
                read.en.eq(1),
            ]
            m.d.sync += word.eq(read.data)
            parts.append(word)
        m.d.comb += self.array.w.as_value().eq(Cat(parts)[: DIGIT_BITS * preset.channels**2])
        return Cat(parts)

    def _accumulate(self, m: Module, beat) -> list[list[Signal]]:
        """Horner's scheme over the passes; what is lost above comes back when the bias is added."""
        preset = self.preset
        accumulators = []
        for p in range(preset.pixels):
            row = []
            for o in range(preset.channels):
                total = Signal(signed(preset.accumulator_bits), name=f"acc_{p}_{o}", reset_less=True)
                with m.If(beat.valid):
                    before = Mux(beat.first, 0, Mux(beat.scales, total << (RADIX - 1).bit_length(), total))
                    m.d.sync += total.eq(self.array.sums[p][o] + before)
                row.append(total)
            accumulators.append(row)
        return accumulators

    def _greatest(self, m: Module, beat) -> list[list[Signal]]:
        """The maximum of each input channel, in step with the sums."""
        maxima = []
        for p in range(self.preset.pixels):
            row = []
            for i in range(self.preset.channels):
                x = self.array.x[p][0][i]  # the same for all outputs, as in every layer but windowed ones
                for index in range(self.array.latency_cycles):
                    # With a reset, so that it becomes flip-flops, which abound, and not shift registers.
                    later = Signal(8, name=f"late_{p}_{i}_{index}")
                    m.d.sync += later.eq(x)
                    x = later
                best = Signal(8, name=f"max_{p}_{i}", reset_less=True)
                with m.If(beat.valid & (beat.first | (x > best))):
                    m.d.sync += best.eq(x)
                row.append(best)
            maxima.append(row)
        return maxima

    def _finish(self, m: Module, beat, pending: Signal, sums, greatest) -> None:
        """Capture complete sums, requantise a pixel lane's a cycle, and write the word into its slot."""
        preset, bits = self.preset, self.preset.accumulator_bits
        results = [
            Signal(preset.channels * bits, name=f"result_{p}", reset_less=True) for p in range(preset.pixels)
        ]
        maxima = [Signal(preset.bus_bits, name=f"maximum_{p}", reset_less=True) for p in range(preset.pixels)]
        active = Signal(preset.channels * 32)
        config = data.View(CONFIG, Signal(CONFIG.size, name="config_active"))
        capture = Signal()
        m.d.comb += capture.eq(beat.valid & beat.last)
        lane = Signal(range(preset.pixels + 1), init=preset.pixels)
        addr, column, ends = Signal(16), Signal(12), Signal()
        slot = Signal(range(preset.row_slots), init=preset.row_slots - 1)
        with m.If(lane != preset.pixels):
            m.d.sync += [lane.eq(lane + 1), addr.eq(addr + config.last_column + 1)]
        with m.If(capture):
            m.d.sync += [lane.eq(0), column.eq(column + 1), addr.eq(column + 1), ends.eq(beat.row_last)]
            with m.If(beat.row_first):
                m.d.sync += [column.eq(0), addr.eq(0), slot.eq(slot + 1)]
            with m.If(beat.opens):
                m.d.sync += [active.eq(pending), config.as_value().eq(self.config.as_value())]
            m.d.sync += [result.eq(Cat(row)) for result, row in zip(results, sums, strict=True)]
            m.d.sync += [maximum.eq(Cat(row)) for maximum, row in zip(maxima, greatest, strict=True)]
        flow = Cat(lane != preset.pixels, ends & (lane == preset.pixels - 1), slot, addr)
        delayed = later(m, flow, Requantise.LATENCY_CYCLES, "flow")
        limits = later(m, Cat(config.low, config.high, config.raw), Requantise.LIMITS_CYCLES, "limits")
        total = Array(results)[lane]
        maximum = Array(maxima)[lane]
        units = []
        for o in range(preset.channels):
            unit = Requantise(bits=bits)
            m.submodules[f"requantise_{o}"] = unit
            parameter = active.word_select(o, 32)
            x = total.word_select(o, bits)
            low_bits = Mux(config.greatest, maximum.word_select(o, 8), x[:8])
            m.d.comb += [
                unit.x.eq(Cat(low_bits, x[8:] & ~config.greatest.replicate(bits - 8))),
                unit.bias.eq(parameter[:bits]),
                unit.shift.eq(parameter[bits : bits + 5]),
                unit.low.eq(limits[:8]),
                unit.high.eq(limits[8:16]),
                unit.raw.eq(limits[16]),
            ]
            units.append(unit.y)
        self._slots(m, delayed, Cat(units), len(slot))

    def _slots(self, m: Module, flow, word, slot_bits: int) -> None:
        preset = self.preset
        slots = memory.Memory(shape=preset.bus_bits, depth=preset.row_slots * preset.row_words, init=())
        m.submodules.slots = slots
        write, read = slots.write_port(), slots.read_port()
        row_bits = preset.row_words.bit_length() - 1
        m.d.comb += [
            write.en.eq(flow[0]),
            write.addr.eq(Cat(flow[2 + slot_bits :][:row_bits], flow[2 : 2 + slot_bits])),
            write.data.eq(word),
            read.addr.eq(self.slot_addr),
            read.en.eq(1),
        ]
        m.d.sync += [self.slot_word.eq(read.data), self.row_ready.eq(flow[0] & flow[1])]


def _later(m: Module, beat, cycles: int, name: str):
    return data.View(BEAT, later(m, beat.as_value(), cycles, name))
