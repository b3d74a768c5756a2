"""A listen-only CAN receiver: from the pin to frames, and to single bits while the frame still runs."""

from enum import IntEnum

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.can.bit_timing import TIMING_LAYOUT, BitTimer
from hw.can.crc15 import Crc15
from hw.can.destuff import Destuffer

__all__ = ["FEATURE_BITS", "CountedSignature", "InFrameSignature", "Receiver", "frame_layout"]

IDENTIFIER_BITS = 11
#: What a network sees of one frame: the identifier, then the payload, in the order of transmission.
FEATURE_BITS = IDENTIFIER_BITS + 64


def frame_layout(timestamp_bits: int) -> data.StructLayout:
    """A frame; `data` is byte by byte, zero beyond `dlc`, and `dlc` says 8 for everything above 8."""
    return data.StructLayout(
        {
            "identifier": 29,
            "extended": 1,
            "remote": 1,
            "dlc": 4,
            "data": data.ArrayLayout(8, 8),
            "timestamp": timestamp_bits,
        }
    )


class InFrameSignature(wiring.Signature):
    """What happens inside the frame in flight; each strobe is one cycle long.

    - `start`: the start-of-frame bit has been sampled.
    - `bit_valid`: one feature bit has been sampled: `bit`, of number `index`: 0 is the identifier's most
      significant bit, 11 the most significant bit of payload byte 0, 74 the least significant one of byte 7.
      Bytes beyond the DLC are not sent and so not reported: they count as zero.
    - `last_data`: all feature bits are known: together with the last `bit_valid`, or, for a DLC of 0, when
      the last bit of the DLC has been sampled.
    - `commit`: the last CRC bit has been sampled and the CRC is right.
    - `abort`: there will be no `commit`: an error, or a frame that the network cannot judge (a 29-bit
      identifier, a remote frame, both known at the IDE bit; CAN FD). Each `start` is followed by exactly
      one `commit` or `abort`.
    - `accepted` or `rejected`: after `commit`, exactly one of them: the sixth bit of the end of frame was
      recessive, or an error came before it. Both come for frames of the other kinds that reach their CRC,
      too.
    """

    STROBES = ("start", "bit_valid", "last_data", "commit", "abort", "accepted", "rejected")

    def __init__(self):
        super().__init__(
            {"bit": Out(1), "index": Out(range(FEATURE_BITS))} | dict.fromkeys(self.STROBES, Out(1))
        )


class CountedSignature(wiring.Signature):
    """Strobes of one cycle for the counters of an overlay.

    `accepted`, `extended`, `remote`: a frame, a frame with a 29-bit identifier, a remote frame was accepted,
    at the sixth bit of its end of frame. `lost`: a good frame found the frame register still full.
    `stuff_error`, `crc_error`, `form_error` (CRC or ACK delimiter or end of frame dominant), `fd_skipped` (a
    CAN FD frame, at its FDF bit), `overload` (a dominant last bit of the end of frame, or first or second
    bit of the intermission): at the bit that shows it.
    """

    NAMES = (
        "accepted",
        "extended",
        "remote",
        "lost",
        "stuff_error",
        "crc_error",
        "form_error",
        "fd_skipped",
        "overload",
    )

    def __init__(self):
        super().__init__(dict.fromkeys(self.NAMES, Out(1)))


#: Recessive bits after which a frame may begin. The standard has eleven, but the last of them may already be
#: a start of frame as the last bit of an intermission may, when its sender's clock is fast.
_INTEGRATION_BITS = 10

#: The sixth and seventh bit of the end of frame, in which no error flag may begin.
_END_BITS_UNTOUCHED = 2


class _State(IntEnum):
    """The field that the next bit belongs to, in the order of transmission."""

    INTEGRATING = 0
    IDLE = 1
    IDENTIFIER = 2
    REMOTE = 3
    EXTENDED = 4
    EXTENDED_IDENTIFIER = 5
    EXTENDED_REMOTE = 6
    FD_FORMAT = 7
    RESERVED = 8
    LENGTH = 9
    DATA = 10
    CRC = 11
    CRC_DELIMITER = 12
    ACKNOWLEDGE = 13
    END = 14
    INTERMISSION = 15


_BETWEEN_FRAMES = (_State.INTEGRATING, _State.IDLE, _State.INTERMISSION)


class Receiver(wiring.Component):
    """Classical CAN, 11- and 29-bit identifiers; never drives the bus.

    Latency: every strobe comes `STROBE_CYCLES` after the sample point of its bit, and `frame.valid` rises
    `FRAME_CYCLES` after that of the last CRC bit, that is before the CRC delimiter; a sample point is
    reported `BitTimer.PIN_CYCLES + glitch_cycles` after the pin showed it. One frame in 47 bit times at the
    most.

    Back-pressure: the bus does not wait. A frame stays on the stream until it is taken; it must be taken
    before the last CRC bit of the next one, 47 bit times later at the earliest. A good frame that comes
    while the register is full is dropped and `counts.lost` says so; what is on the stream stays whole.

    Any error, a CAN FD frame, an overload flag, and the time after reset lead to the same state, which ends
    after 10 recessive bits without a single edge: so no sequence on the bus locks the receiver up, and the
    bits of a CAN FD payload at any rate, sampled by chance as recessive, do not end it early. Fast bits
    shorter than `glitch_cycles` would be filtered away.

    Frames with 29-bit identifiers and remote frames are received and counted like others.
    """

    STROBE_CYCLES = 1
    FRAME_CYCLES = 1

    def __init__(self, *, timestamp_bits: int = 48, glitch_cycles: int = 3):
        if timestamp_bits < 1:
            raise ValueError(f"timestamp_bits must be at least 1, not {timestamp_bits!r}")
        self._timestamp_bits = timestamp_bits
        self._glitch_cycles = glitch_cycles
        super().__init__(
            {
                "rx": In(1),
                "timing": In(TIMING_LAYOUT),
                #: A count of cycles; frames bear its value at the sample point of their last CRC bit.
                "now": In(timestamp_bits),
                "frame": Out(stream.Signature(frame_layout(timestamp_bits))),
                "in_frame": Out(InFrameSignature()),
                "counts": Out(CountedSignature()),
                #: From the sample point of the start of frame to that of the fifth bit of the end of frame.
                #: An error flag that begins in this time keeps every node from accepting the frame, which
                #: would be at the sixth bit; the bit between makes up for the delay of pins and transceivers.
                "in_flight": Out(1),
                #: No frame is in flight and the next dominant bit will be a start of frame.
                "idle": Out(1),
                "bit_start": Out(1),
                #: High for one cycle at each sample point; latencies count from here.
                "sample": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.timer = timer = BitTimer(glitch_cycles=self._glitch_cycles)
        m.submodules.destuffer = destuffer = Destuffer()
        m.submodules.crc = crc = Crc15()

        state = Signal(_State)
        left = Signal(6, init=_INTEGRATION_BITS - 1)  # bits of this field after the next one
        last = left == 0
        extended = Signal()
        remote = Signal()
        dlc = Signal(4)
        identifier = Signal(29)
        # The payload shifts in from below, behind a marker that tells when it has reached the top.
        payload = Signal(65, init=1)
        judged = Signal()  # this frame's start awaits its commit or abort
        good = Signal()  # this frame's CRC was right, its end is awaited
        bit, step = timer.bit, destuffer.valid
        in_frame, counts = self.in_frame, self.counts

        stuffed = (state >= _State.IDENTIFIER) & (state <= _State.CRC)
        m.d.comb += [
            timer.rx.eq(self.rx),
            timer.timing.eq(self.timing),
            timer.hard_sync.eq(state.matches(*_BETWEEN_FRAMES)),
            self.sample.eq(timer.sample),
            self.bit_start.eq(timer.bit_start),
            destuffer.sample.eq(timer.sample),
            destuffer.bit.eq(bit),
            destuffer.stuffed.eq(stuffed),
            # The start of frame is a zero shifted into zeros: it need not be counted.
            crc.clear.eq(~stuffed),
            crc.valid.eq(step),
            crc.bit.eq(bit),
            self.idle.eq(state == _State.IDLE),
            self.in_flight.eq(
                (state >= _State.IDENTIFIER)
                & (state <= _State.END)
                & ~((state == _State.END) & (left < _END_BITS_UNTOUCHED))
            ),
        ]
        m.d.sync += [getattr(in_frame, name).eq(0) for name in InFrameSignature.STROBES]
        m.d.sync += [getattr(counts, name).eq(0) for name in CountedSignature.NAMES]

        failed = Signal()  # the frame, if any, is over: wait for the bus to become idle

        def fail(cause: Signal) -> None:
            m.d.comb += failed.eq(1)
            m.d.sync += cause.eq(1)

        def enter(field: int, bits: int | Value) -> None:
            m.d.sync += [state.eq(field), left.eq(bits - 1)]

        def start_frame() -> None:
            enter(_State.IDENTIFIER, IDENTIFIER_BITS)
            m.d.sync += [in_frame.start.eq(1), in_frame.index.eq(-1), judged.eq(1)]

        def feature_bit() -> None:
            m.d.sync += [in_frame.bit_valid.eq(judged), in_frame.index.eq(in_frame.index + 1)]

        m.d.sync += in_frame.bit.eq(bit)
        with m.If(state == _State.INTEGRATING):
            with m.If(timer.edge | (timer.sample & ~bit)):
                m.d.sync += left.eq(_INTEGRATION_BITS - 1)
            with m.Elif(timer.sample):
                m.d.sync += left.eq(left - 1)
                with m.If(last):
                    m.d.sync += state.eq(_State.IDLE)
        with m.Elif(destuffer.error):
            fail(counts.stuff_error)
        with m.Elif(step):
            m.d.sync += left.eq(left - 1)
            with m.Switch(state):
                with m.Case(_State.IDLE), m.If(~bit):
                    start_frame()
                with m.Case(_State.IDENTIFIER):
                    m.d.sync += identifier.eq(Cat(bit, identifier))
                    feature_bit()
                    with m.If(last):
                        m.d.sync += state.eq(_State.REMOTE)
                with m.Case(_State.REMOTE):
                    m.d.sync += [remote.eq(bit), state.eq(_State.EXTENDED)]
                with m.Case(_State.EXTENDED):
                    m.d.sync += [extended.eq(bit), state.eq(_State.FD_FORMAT)]
                    with m.If(bit | remote):
                        m.d.sync += [in_frame.abort.eq(1), judged.eq(0)]
                    with m.If(bit):
                        enter(_State.EXTENDED_IDENTIFIER, 18)
                with m.Case(_State.EXTENDED_IDENTIFIER):
                    m.d.sync += identifier.eq(Cat(bit, identifier))
                    with m.If(last):
                        m.d.sync += state.eq(_State.EXTENDED_REMOTE)
                with m.Case(_State.EXTENDED_REMOTE):
                    m.d.sync += [remote.eq(bit), state.eq(_State.FD_FORMAT)]
                with m.Case(_State.FD_FORMAT):
                    enter(_State.LENGTH, 4)
                    with m.If(extended):
                        m.d.sync += state.eq(_State.RESERVED)
                    with m.If(bit):
                        fail(counts.fd_skipped)
                with m.Case(_State.RESERVED):
                    enter(_State.LENGTH, 4)
                with m.Case(_State.LENGTH):
                    length = Cat(bit, dlc[:3])
                    m.d.sync += dlc.eq(length)
                    with m.If(last):
                        with m.If(remote | (length == 0)):
                            enter(_State.CRC, 15)
                            m.d.sync += in_frame.last_data.eq(judged)
                        with m.Else():
                            m.d.sync += state.eq(_State.DATA)
                            # 8 bits a byte, less one; above 8 means 8.
                            m.d.sync += left.eq(Cat(C(7, 3), Mux(length[3], 7, length[:3] - 1)))
                with m.Case(_State.DATA):
                    feature_bit()
                    with m.If(last):
                        enter(_State.CRC, 15)
                        m.d.sync += in_frame.last_data.eq(judged)
                with m.Case(_State.CRC), m.If(last):
                    m.d.sync += state.eq(_State.CRC_DELIMITER)
                    with m.If(crc.matches):
                        m.d.sync += [in_frame.commit.eq(judged), judged.eq(0), good.eq(1)]
                    with m.Else():
                        fail(counts.crc_error)
                with m.Case(_State.CRC_DELIMITER):
                    m.d.sync += state.eq(_State.ACKNOWLEDGE)
                    with m.If(~bit):
                        fail(counts.form_error)
                with m.Case(_State.ACKNOWLEDGE):
                    # Its delimiter counts as the first bit of the end of frame: both must be recessive.
                    enter(_State.END, 8)
                with m.Case(_State.END):
                    with m.If(last):
                        enter(_State.INTERMISSION, 3)
                        with m.If(~bit):
                            fail(counts.overload)
                    with m.Elif(~bit):
                        fail(counts.form_error)
                    with m.Elif(left == 1):
                        m.d.sync += [
                            good.eq(0),
                            in_frame.accepted.eq(1),
                            counts.accepted.eq(1),
                            counts.extended.eq(extended),
                            counts.remote.eq(remote),
                        ]
                with m.Case(_State.INTERMISSION):
                    with m.If(last):
                        m.d.sync += state.eq(_State.IDLE)
                    with m.If(~bit):
                        with m.If(last):
                            start_frame()
                        with m.Else():
                            fail(counts.overload)
        with m.If(failed):
            enter(_State.INTEGRATING, _INTEGRATION_BITS)
            m.d.sync += [in_frame.abort.eq(judged), judged.eq(0), in_frame.rejected.eq(good), good.eq(0)]

        # A short payload is moved to the top, a place a cycle, while the CRC comes in.
        in_data = state == _State.DATA
        with m.If((in_data & step) | ((state == _State.CRC) & ~payload[-1])):
            m.d.sync += payload.eq(Cat(bit & in_data, payload))
        # Last, so that it is the reset input of the registers and costs no logic. It comes a cycle late, for
        # the sake of the clock: the next bit is `MIN_CYCLES_PER_BIT` away.
        with m.If(in_frame.start):
            m.d.sync += [identifier.eq(0), payload.eq(payload.init)]

        with m.If(self.frame.ready):
            m.d.sync += self.frame.valid.eq(0)
        with m.If((state == _State.CRC) & step & last & crc.matches):
            # Even if it is taken in this very cycle: so `ready` need not reach every bit of the register.
            with m.If(self.frame.valid):
                m.d.sync += counts.lost.eq(1)
            with m.Else():
                m.d.sync += [
                    self.frame.valid.eq(1),
                    self.frame.p.identifier.eq(identifier),
                    self.frame.p.extended.eq(extended),
                    self.frame.p.remote.eq(remote),
                    self.frame.p.dlc.eq(Mux(dlc[3], 8, dlc)),
                    self.frame.p.timestamp.eq(self.now),
                ]
                m.d.sync += [self.frame.p.data[i].eq(payload[56 - 8 * i : 64 - 8 * i]) for i in range(8)]
        return m
