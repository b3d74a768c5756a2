"""CAN bit timing: where in the stream of clock cycles each bit of the bus is sampled."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["TIMING_LAYOUT", "BitTimer", "BitTiming"]

#: The timing as one register: `prescaler` is cycles per quantum less one, the others are counts of quanta.
TIMING_LAYOUT = data.StructLayout({"prescaler": 8, "tseg1": 5, "tseg2": 4, "sjw": 4})

#: Frames need 64 cycles within the 15 bits of the CRC to align their payload; see `receiver`.
MIN_CYCLES_PER_BIT = 8


@dataclass(frozen=True, kw_only=True)
class BitTiming:
    """A bit as time quanta: one of synchronisation, `tseg1` up to the sample point, `tseg2` after it."""

    prescaler: int  #: clock cycles a quantum, 1 to 256
    tseg1: int  #: quanta between the synchronisation quantum and the sample point, 1 to 31
    tseg2: int  #: quanta after the sample point, 1 to 15
    sjw: int  #: the largest correction by one edge in quanta, at most `tseg1` and `tseg2`

    def __post_init__(self) -> None:
        limits = {"prescaler": 256, "tseg1": 31, "tseg2": 15, "sjw": min(self.tseg1, self.tseg2)}
        for name, highest in limits.items():
            value = getattr(self, name)
            if not 1 <= value <= highest:
                raise ValueError(f"{name} of a bit timing must be 1 to {highest}, not {value!r}")
        if self.cycles_per_bit < MIN_CYCLES_PER_BIT:
            raise ValueError(
                f"a bit of {self.cycles_per_bit!r} clock cycles is too short for the receiver, which needs "
                f"{MIN_CYCLES_PER_BIT}: raise the clock or lower the bit rate"
            )

    @property
    def quanta(self) -> int:
        return 1 + self.tseg1 + self.tseg2

    @property
    def cycles_per_bit(self) -> int:
        return self.prescaler * self.quanta

    @property
    def sample_point(self) -> float:
        return (1 + self.tseg1) / self.quanta

    @property
    def word(self) -> int:
        """The value of a register laid out as `TIMING_LAYOUT`."""
        return (
            TIMING_LAYOUT.const(
                {"prescaler": self.prescaler - 1, "tseg1": self.tseg1, "tseg2": self.tseg2, "sjw": self.sjw}
            )
            .as_value()
            .value
        )

    @classmethod
    def for_rate(
        cls,
        clock_hz: float,
        bit_rate: float,
        *,
        sample_point: tuple[float, float] = (0.75, 0.8),
        tolerance: float = 0.001,
    ) -> "BitTiming":
        """The timing nearest to `bit_rate`; among equals the latest sample point, then the finest quanta."""
        lowest, highest = sample_point
        candidates = []
        for prescaler in range(1, 257):
            quanta = round(clock_hz / (bit_rate * prescaler))
            tseg1 = int(highest * quanta + 1e-9) - 1
            tseg2 = quanta - 1 - tseg1
            usable = quanta >= 4 and 1 <= tseg1 <= 31 and 1 <= tseg2 <= 15
            if not usable or (1 + tseg1) / quanta < lowest or prescaler * quanta < MIN_CYCLES_PER_BIT:
                continue
            timing = cls(prescaler=prescaler, tseg1=tseg1, tseg2=tseg2, sjw=(tseg2 + 1) // 2)
            error = abs(clock_hz / timing.cycles_per_bit / bit_rate - 1)
            candidates.append((round(error, 6), -timing.sample_point, -quanta, timing))
        if not candidates or min(candidates)[0] > tolerance:
            raise ValueError(
                f"no CAN bit timing makes {bit_rate!r} bit/s out of a clock of {clock_hz!r} Hz within "
                f"{tolerance:.2%}, with a sample point of {lowest:.0%} to {highest:.0%}: choose a clock that "
                f"is a multiple of the bit rate, at least {MIN_CYCLES_PER_BIT} times as fast"
            )
        return min(candidates)[3]


class BitTimer(wiring.Component):
    """Samples the receive pin once a bit, in step with the edges of the bus.

    A pulse shorter than `glitch_cycles` never gets past the filter behind the synchroniser. Edges from
    recessive to dominant move the bit: all the way while `hard_sync` is high, by at most `sjw` quanta
    otherwise, and then only once a bit and only if the last sample was recessive. A correction within `sjw`
    is made to the clock cycle, not to the quantum, so 10 quanta a bit track as well as 25.

    Latency: a level on the pin decides a sample that is reported `PIN_CYCLES + glitch_cycles` cycles later.
    One `sample` a bit time; there is no back-pressure, the bus does not wait.
    """

    #: Two of the synchroniser, one of the level, one of the sample register, less the one the filter
    #: overlaps.
    PIN_CYCLES = 3

    rx: In(1)
    timing: In(TIMING_LAYOUT)
    #: Every edge starts a new bit: the bus is idle, or the receiver waits for it to become so.
    hard_sync: In(1)

    #: The bus level at the last sample point: 1 is recessive.
    bit: Out(1, init=1)
    #: High for the one cycle in which `bit` is new.
    sample: Out(1)
    #: High for one cycle at an edge from recessive to dominant, used or not.
    edge: Out(1)
    #: High for one cycle when a bit time begins.
    bit_start: Out(1)

    def __init__(self, *, glitch_cycles: int = 3):
        if glitch_cycles < 1:
            raise ValueError(f"glitch_cycles must be at least 1 (no filter), not {glitch_cycles!r}")
        self._glitch_cycles = glitch_cycles
        super().__init__()

    def elaborate(self, platform) -> Module:
        m = Module()
        level = self._filtered_pin(m)

        # The number of the quantum is the phase error of an edge in it: 0 is the synchronisation quantum,
        # 1 to tseg1 an edge came late, -tseg2 to -1 the edge of the next bit came early.
        quantum = Signal(signed(6))
        cycle = Signal(8)
        last_of_quantum = Signal()
        following, corrected, within_reach = self._next_phases(m, quantum, last_of_quantum)
        at_sample_point = last_of_quantum & (quantum == self.timing.tseg1)

        resynchronised = Signal()
        m.d.sync += [quantum.eq(following), self.sample.eq(at_sample_point)]
        # Whether a cycle is the last of its quantum is known a cycle before: the comparison has its own. An
        # edge sets one bit that says "first", rather than every bit of `cycle` at the end of a long way.
        cycles_less_2 = Signal(signed(9))
        first_of_quantum, counted = Signal(), Signal(8)
        m.d.comb += counted.eq(Mux(first_of_quantum, 0, cycle))
        m.d.sync += [
            cycles_less_2.eq(self.timing.prescaler - 1),
            first_of_quantum.eq(0),
            cycle.eq(Mux(last_of_quantum, 0, counted + 1)),
            last_of_quantum.eq((cycles_less_2 < 0) | (~last_of_quantum & (counted == cycles_less_2))),
        ]
        with m.If(at_sample_point):
            m.d.sync += [self.bit.eq(level), resynchronised.eq(0)]
        # At the sample point itself an edge comes after a recessive sample, or it would be none.
        with m.If(self.edge & (self.hard_sync | at_sample_point | (self.bit & ~resynchronised))):
            m.d.sync += [resynchronised.eq(1), quantum.eq(corrected)]
            with m.If(self.hard_sync | within_reach):
                m.d.sync += [quantum.eq(0), first_of_quantum.eq(1), last_of_quantum.eq(cycles_less_2 < 0)]

        was_early = Signal()
        m.d.sync += was_early.eq(quantum < 0)
        m.d.comb += self.bit_start.eq(was_early & (quantum >= 0))
        return m

    def _next_phases(self, m: Module, quantum: Signal, last_of_quantum: Signal) -> tuple[Value, ...]:
        """The phase of the next cycle, in which the filtered level shows an edge that is seen now; the same
        corrected by `sjw`; and whether the correction takes all of it away.

        There are three candidates, this quantum, the one after, and the first one after the sample point. All
        are corrected side by side, so that the choice comes last and the clock is not limited.
        """
        timing = self.timing
        after, wrapped = Signal(signed(6)), Signal(signed(6))
        up, down, up_after, down_after = (Signal(signed(6), name=f"jump{n}") for n in range(4))
        m.d.sync += [
            up.eq(timing.sjw),
            down.eq(-timing.sjw),
            up_after.eq(timing.sjw + 1),
            down_after.eq(1 - timing.sjw),
            wrapped.eq(timing.sjw - timing.tseg2),  # corrected, and never late
        ]
        m.d.comb += after.eq(quantum + 1)

        def corrected(early: Value, jump_early: Value, jump_late: Value) -> tuple[Signal, Value]:
            phase = Signal(signed(6))
            m.d.comb += phase.eq(quantum + Mux(early, jump_early, jump_late))
            return phase, ((phase < 0) != early) | (phase == 0)

        here, here_reached = corrected(quantum < 0, up, down)
        there, there_reached = corrected((quantum < 0) & (quantum != -1), up_after, down_after)
        at_tseg1 = quantum == timing.tseg1

        def chosen(same: Value, stepped: Value, sampled: Value) -> Value:
            return Mux(last_of_quantum, Mux(at_tseg1, sampled, stepped), same)

        return (
            chosen(quantum, after, -timing.tseg2),
            chosen(here, there, wrapped),
            chosen(here_reached, there_reached, wrapped >= 0),
        )

    def _filtered_pin(self, m: Module) -> Signal:
        synchronised = Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.rx, synchronised, init=1)
        history = Signal(self._glitch_cycles - 1, init=-1)
        window = Cat(synchronised, history)
        level = Signal(init=1)
        m.d.sync += history.eq(window)
        m.d.comb += self.edge.eq(level & ~window.any())
        with m.If(window.all()):
            m.d.sync += level.eq(1)
        with m.If(~window.any()):
            m.d.sync += level.eq(0)
        return level
