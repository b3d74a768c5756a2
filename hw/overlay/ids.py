"""The `ids` overlay: a CAN bus, or recorded frames, judged by a network."""

import hashlib
import json
from pathlib import Path

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.reader import Reader
from hw.bus.record_ring import Moderator, RecordRing
from hw.bus.register_map import Access, Counter, Field, Register
from hw.bus.writer import Writer
from hw.can.guard import Guard
from hw.dataflow.folding import fold
from hw.ids.core import LATENCY_BITS, TIMESTAMP_BITS, IdsCore
from hw.ids.desk import CLASSES_MAX, RECORD, UNJUDGED
from hw.ids.replay import FRAME_BYTES, Replay
from hw.overlay.base import Overlay, OverlayShell
from hw.stream import Fifo, SkidBuffer
from models.program import Program, load

__all__ = ["ALERTS_HELD", "MODEL", "IdsOverlay"]

MODEL = Path(__file__).parents[2] / "models" / "zoo" / "can_ids_ours.onnx"
DATA_BITS = 64
ALERTS_HELD = 16
#: Features of one frame by the bits of a value: every bit of identifier and payload, or every byte.
FRAME_FEATURES = {1: 75, 8: 10}


def _pair(name: str, doc: str, *, high_bits: int, access: Access = Access.READ_WRITE) -> tuple[Register, ...]:
    return (
        Register.word(f"{name}_LO", access=access, doc=f"{doc}, low word."),
        Register.word(f"{name}_HI", bits=high_bits, access=access, doc=f"{doc}, high word."),
    )


def _flags(name: str, access: Access, doc: str, **fields: str) -> Register:
    return Register(
        name=name,
        doc=doc,
        fields=tuple(Field(name=field, access=access, doc=text) for field, text in fields.items()),
    )


def _word(
    name: str, doc: str, bits: int = 32, access: Access = Access.READ_WRITE, reset: int = 0
) -> Register:
    return Register.word(name, bits=bits, access=access, reset=reset, doc=doc)


class IdsOverlay(Overlay):
    """One network, two entrances: the pins of a CAN transceiver, and DMA replay of recorded frames.

    REPLAY waits for a frame in flight on the pins, judges REPLAY_COUNT frames and raises `done`. Records go
    to a ring in memory and, if they are alerts, to a short queue behind registers. `value_cycles` and
    `judge_cycles` choose the folding; both must fit the bus: a bit at 1 Mbit/s takes 100 cycles at 100 MHz,
    the CRC 1,500.
    """

    def __init__(
        self,
        *,
        model: Path = MODEL,
        value_cycles: int = 8,
        judge_cycles: int = 256,
        guard_burst: int = 8,
        guard_interval_cycles: int = 10_000_000,
    ):
        self._program: Program = load(model, style="thresholds")
        self._model_hash = int(hashlib.sha256(model.read_bytes()).hexdigest()[:16], 16)
        self._guard = {"burst": guard_burst, "interval_cycles": guard_interval_cycles}
        value_bits = self._program.tensors[self._program.input].bits
        inputs = self._program.input_shape[0]
        self.shape = fold(
            self._program,
            judge_cycles=judge_cycles,
            slots=inputs // FRAME_FEATURES[value_bits],
            value_bits=value_bits,
            value_cycles=value_cycles,
        )
        super().__init__(
            name="ids",
            version=(1, 0),
            memory_data_bits=DATA_BITS,
            errors=("read", "write", "weights"),
            interrupts=("done", "verdicts", "alert"),
            stalls=("read_data", "ring"),
            registers=self._registers(guard_burst, guard_interval_cycles),
            pins={"can_rx": In(1, init=1), "can_tx": Out(1, init=1)},
            # From it a host makes the weight images of other models.
            parameters={"PIPELINE_SHAPE": json.dumps(self.shape.as_dict())},
        )

    def _registers(self, guard_burst: int, guard_interval_cycles: int) -> tuple[Register | Counter, ...]:
        read_only, constant = Access.READ_ONLY, Access.CONSTANT
        classes = self.shape.layers[-1].outputs
        counters = {
            "RING_DROPPED": "Records lost because the ring was full.",
            "FRAMES_ACCEPTED": "Frames that every node on the bus has accepted.",
            "FRAMES_REJECTED": "Frames with a right CRC that some node then refused.",
            "FRAMES_UNJUDGED": "Records of frames that the network cannot judge.",
            "FRAMES_LOST": "Frames from the pins without a record.",
            "FRAMES_FD": "CAN FD frames skipped.",
            "ERRORS_STUFF": "Stuff errors, active error flags among them.",
            "ERRORS_CRC": "Frames with a wrong CRC.",
            "ERRORS_FORM": "Frames with a dominant delimiter or end.",
            "OVERLOADS": "Overload flags.",
            "KILLS": "Frames destroyed by the guard.",
            "KILLS_REFUSED": "Kills beyond the budget; each locks the guard.",
            "KILLS_TOO_LATE": "Kills that found no frame in flight any more.",
        } | {f"CLASS_{number}": f"Verdicts of class {number}." for number in range(classes)}
        return (
            _flags(
                "CONTROL",
                Access.PULSE,
                "Write 1 to act.",
                REPLAY="Judge REPLAY_COUNT frames from memory.",
                DISCARD_WINDOW="Forget the frames of the window.",
                ABANDON_WEIGHTS="Give up a weight image that was not finished.",
            ),
            _flags(
                "MODE",
                Access.READ_WRITE,
                "What is switched on.",
                CAN_ENABLE="Listen to the pins.",
                RING_ALL="Every record goes to the ring; else alerts only.",
                GUARD_ENABLE="Ask the guard to destroy attacks of GUARD_CLASSES.",
            ),
            *_pair("REPLAY", "Address of the frames to replay", high_bits=8),
            _word("REPLAY_COUNT", f"Frames to replay, {FRAME_BYTES} bytes each.", bits=28),
            _word("REPLAY_DONE", "Frames of this replay that have their record.", bits=28, access=read_only),
            *_pair("RING", "Address of the ring", high_bits=8),
            _word("RING_SIZE", "Records in the ring, a power of two; 32 bytes each.", reset=1),
            _word("RING_HEAD", "Records that are in memory, since reset.", access=read_only),
            _word("RING_TAIL", "Records that the host has taken, since reset."),
            _word("ALERT_CLASSES", "A bit a class: its attacks are alerts.", bits=CLASSES_MAX, reset=0xFE),
            _word("SCORE_THRESHOLD", "Least score of an alert, signed.", bits=16, reset=1),
            Register(
                name="MODERATION",
                doc="When `verdicts` is raised; zero takes a condition away.",
                fields=(
                    Field(name="COUNT", bits=8, reset=1, doc="After so many new records."),
                    Field(name="TIME", bits=24, doc="Or so many cycles after the first of them."),
                ),
            ),
            *(
                _word(f"ALERT_{number}", f"Word {number} of the oldest alert in the queue.", access=read_only)
                for number in range(8)
            ),
            Register(
                name="ALERT_STATE",
                doc="The queue of alerts.",
                fields=(
                    Field(name="LEVEL", bits=5, access=read_only, doc="Alerts in the queue."),
                    Field(
                        name="LOST", bits=16, offset=16, access=read_only, doc="Alerts that found it full."
                    ),
                ),
            ),
            _word("ALERT_POP", "Write 1: take the oldest alert away.", bits=1, access=Access.PULSE),
            Register(
                name="BIT_TIMING",
                doc="The bits on the bus; the reset value is 500 kbit/s at 100 MHz.",
                fields=(
                    Field(name="PRESCALER", bits=8, reset=9, doc="Cycles per quantum less one."),
                    Field(
                        name="TSEG1", bits=5, reset=15, doc="Quanta before the sample point but the first."
                    ),
                    Field(name="TSEG2", bits=4, reset=4, doc="Quanta after the sample point."),
                    Field(name="SJW", bits=4, reset=4, doc="Quanta that a resynchronisation may shift."),
                ),
            ),
            _word("GUARD_KEY", "The key without which nothing is transmitted."),
            _word("GUARD_CLASSES", "A bit a class: its frames are destroyed.", bits=CLASSES_MAX),
            _word("GUARD_BUDGET", "Kills in a burst.", access=constant, reset=guard_burst),
            _word(
                "GUARD_INTERVAL",
                "Cycles until one more is allowed.",
                access=constant,
                reset=guard_interval_cycles,
            ),
            _flags(
                "GUARD_STATE",
                read_only,
                "The guard.",
                UNLOCKED="The key is right.",
                LOCKED_OUT="The budget was overdrawn; take the key away and write it again.",
            ),
            _word("WEIGHTS", "Takes the words of a weight image.", access=Access.PUSH),
            _flags(
                "WEIGHTS_STATE",
                read_only,
                "The weights.",
                VALID="The network judges.",
                LOADING="An image is being loaded.",
                REFUSED_SHAPE="The last image was for another shape.",
                REFUSED_CRC="The last image was damaged.",
            ),
            *_pair(
                "MODEL_HASH", "First 64 bits of the SHA-256 of the QONNX file", high_bits=32, access=read_only
            ),
            _word("SHAPE_HASH", "Digest of the shape that images must have.", access=read_only),
            _word(
                "LATENCY_MAX",
                "Most cycles from the sample point of the last CRC bit to the record, since reset.",
                bits=LATENCY_BITS,
                access=read_only,
            ),
            *(Counter(name=name, doc=doc) for name, doc in counters.items()),
        )

    def build(self, m: Module, shell: OverlayShell) -> None:
        registers = shell.registers
        core = IdsCore(shape=self.shape, program=self._program, model_hash=self._model_hash)
        m.submodules.core = core
        now = Signal(TIMESTAMP_BITS)
        m.d.sync += now.eq(now + 1)
        m.d.comb += [
            core.rx.eq(self.can_rx),
            core.now.eq(now),
            core.timing.prescaler.eq(registers.bit_timing_prescaler),
            core.timing.tseg1.eq(registers.bit_timing_tseg1),
            core.timing.tseg2.eq(registers.bit_timing_tseg2),
            core.timing.sjw.eq(registers.bit_timing_sjw),
            core.enable.eq(registers.mode_can_enable),
            core.discard.eq(registers.control_discard_window),
            core.alert_classes.eq(registers.alert_classes),
            core.kill_classes.eq(
                registers.guard_classes & registers.mode_guard_enable.replicate(CLASSES_MAX)
            ),
            core.threshold.eq(registers.score_threshold),
        ]
        self._build_weights(m, shell, core)
        self._build_guard(m, shell, core)
        ring_idle = self._build_records(m, shell, core)
        self._build_replay(m, shell, core, now=now, ring_idle=ring_idle)
        self._build_counters(m, shell, core)

    def _build_weights(self, m: Module, shell: OverlayShell, core: IdsCore) -> None:
        """One word is held while the loader takes the former one; a host that is faster still is told so."""
        registers, port = shell.registers, core.weights
        overrun = registers.weights_written & port.words.valid & ~port.words.ready
        with m.If(port.words.ready):
            m.d.sync += port.words.valid.eq(0)
        with m.If(registers.weights_written):
            m.d.sync += [port.words.valid.eq(1), port.words.payload.eq(registers.weights)]
        was_refused = Signal()
        refused = port.refused_shape | port.refused_crc
        m.d.sync += was_refused.eq(refused)
        m.d.sync += shell.errors["weights"].raised.eq(overrun | (refused & ~was_refused))
        m.d.comb += [
            port.abandon.eq(registers.control_abandon_weights),
            registers.weights_state_valid.eq(port.valid),
            registers.weights_state_loading.eq(port.loading),
            registers.weights_state_refused_shape.eq(port.refused_shape),
            registers.weights_state_refused_crc.eq(port.refused_crc),
            Cat(registers.model_hash_lo, registers.model_hash_hi).eq(port.model_hash),
            registers.shape_hash.eq(port.shape_hash),
        ]

    def _build_guard(self, m: Module, shell: OverlayShell, core: IdsCore) -> None:
        registers = shell.registers
        m.submodules.guard = guard = Guard(**self._guard)
        m.d.comb += [
            guard.key.eq(registers.guard_key),
            guard.kill.eq(core.kill),
            guard.in_flight.eq(core.in_flight),
            guard.bit_start.eq(core.bit_start),
            self.can_tx.eq(guard.tx),
            registers.guard_state_unlocked.eq(guard.unlocked),
            registers.guard_state_locked_out.eq(guard.locked_out),
            registers.kills_count.eq(guard.killed),
            registers.kills_refused_count.eq(guard.refused),
            registers.kills_too_late_count.eq(guard.too_late),
        ]

    def _build_records(self, m: Module, shell: OverlayShell, core: IdsCore) -> Signal:
        """Each record to the ring, to the queue of alerts, or to both; returns whether the ring is idle."""
        registers = shell.registers
        # Registers both ways: from the host's RING_TAIL through the ring's `ready` into the core and its
        # counters was the slowest path of the overlay.
        m.submodules.records = records = SkidBuffer(shape=RECORD)
        wiring.connect(m, core.record, records.i)
        record = records.o
        m.submodules.ring = ring = RecordRing(record_bits=RECORD.size, data_bits=DATA_BITS)
        m.submodules.writer = writer = Writer(data_bits=DATA_BITS)
        m.submodules.alerts = alerts = Fifo(shape=RECORD, depth=ALERTS_HELD)
        m.submodules.moderator = moderator = Moderator()
        wiring.connect(m, ring.request, writer.request)
        wiring.connect(m, ring.data, writer.data)
        for channel in ("aw", "w", "b"):
            wiring.connect(m, getattr(writer, channel), wiring.flipped(getattr(self.memory, channel)))

        is_alert = record.payload.alert[0]
        to_ring = registers.mode_ring_all | is_alert
        alert_seen = record.valid & record.ready & is_alert
        lost = Signal(16)
        m.d.comb += [
            ring.record.valid.eq(record.valid & to_ring),
            ring.record.payload.eq(record.payload),
            record.ready.eq(ring.record.ready | ~to_ring),
            ring.block.eq(core.replaying),
            ring.base.eq(Cat(registers.ring_lo, registers.ring_hi)),
            ring.mask.eq(registers.ring_size - 1),
            ring.tail.eq(registers.ring_tail),
            ring.done.eq(writer.done),
            registers.ring_head.eq(ring.head),
            registers.ring_dropped_count.eq(ring.dropped),
            alerts.i.valid.eq(alert_seen),
            alerts.i.payload.eq(record.payload),
            alerts.o.ready.eq(registers.alert_pop),
            registers.alert_state_level.eq(alerts.level),
            registers.alert_state_lost.eq(lost),
            moderator.event.eq(writer.done),
            moderator.count.eq(registers.moderation_count),
            moderator.cycles.eq(registers.moderation_time),
            shell.interrupts["verdicts"].eq(moderator.raised),
            shell.interrupts["alert"].eq(alert_seen),
            shell.stalls["ring"].eq(record.valid & ~record.ready),
            shell.errors["write"].raised.eq(writer.error.valid),
            shell.errors["write"].addr.eq(writer.error.addr),
            writer.flush.eq(shell.flush),
        ]
        for number in range(8):
            word = alerts.o.payload.as_value().word_select(number, 32)
            m.d.comb += getattr(registers, f"alert_{number}").eq(word)
        with m.If(alert_seen & ~alerts.i.ready & ~lost.all()):
            m.d.sync += lost.eq(lost + 1)
        self._writer_idle = writer.idle
        return ring.idle & ~record.valid

    def _build_replay(self, m, shell: OverlayShell, core: IdsCore, *, now: Signal, ring_idle: Signal) -> None:
        registers = shell.registers
        m.submodules.reader = reader = Reader(data_bits=DATA_BITS)
        assert self.shape.window is not None  # `fold` was given slots
        m.submodules.replay = replay = Replay(shape=self.shape.window, timestamp_bits=TIMESTAMP_BITS)
        wiring.connect(m, reader.data, replay.beats)
        wiring.connect(m, replay.frame, core.entrance.frame)
        wiring.connect(m, replay.events, core.entrance.events)
        for channel in ("ar", "r"):
            wiring.connect(m, getattr(reader, channel), wiring.flipped(getattr(self.memory, channel)))

        done, moved = Signal(28), Signal()
        recorded = core.record.valid & core.record.ready
        # Both are registers because they reach far: `replaying` is high outside IDLE.
        replaying, finished = Signal(), Signal()
        m.d.sync += finished.eq((done == registers.replay_count) & replay.idle & ring_idle)
        m.d.comb += [
            replay.now.eq(now),
            reader.request.payload.addr.eq(Cat(registers.replay_lo, registers.replay_hi)),
            reader.request.payload.length.eq(registers.replay_count << 4),
            reader.flush.eq(shell.flush),
            registers.replay_done.eq(done),
            shell.progress.eq(recorded),
            shell.idle.eq(reader.idle & self._writer_idle),
            shell.errors["read"].raised.eq(reader.error.valid),
            shell.errors["read"].addr.eq(reader.error.addr),
            shell.stalls["read_data"].eq(reader.stalls.data),
        ]
        with m.FSM():
            m.d.comb += [shell.busy.eq(replaying), core.replaying.eq(replaying)]
            with m.State("IDLE"), m.If(registers.control_replay):
                m.d.sync += [done.eq(0), moved.eq(0), replaying.eq(1)]
                m.next = "QUIET"
            # A frame from the pins that is under way comes to its end first.
            with m.State("QUIET"), m.If(core.quiet & ~core.record.valid):
                m.next = "REQUEST"
            with m.State("REQUEST"):
                m.d.comb += reader.request.valid.eq(1)
                with m.If(reader.request.ready):
                    m.next = "RUN"
            with m.State("RUN"):
                with m.If(recorded):
                    m.d.sync += done.eq(done + 1)
                with m.If(reader.r.valid):  # `done` may come before `data`
                    m.d.sync += moved.eq(1)
                refused = reader.done & ~moved  # also an empty replay
                with m.If(finished | refused):
                    m.d.comb += shell.interrupts["done"].eq(1)
                    m.d.sync += replaying.eq(0)
                    m.next = "IDLE"

    def _build_counters(self, m: Module, shell: OverlayShell, core: IdsCore) -> None:
        registers, counts = shell.registers, core.counts
        recorded = core.record.valid & core.record.ready
        verdict = core.record.payload.verdict
        m.d.comb += [
            registers.frames_accepted_count.eq(counts.accepted),
            registers.frames_rejected_count.eq(core.rejected),
            registers.frames_unjudged_count.eq(recorded & (verdict == UNJUDGED)),
            registers.frames_lost_count.eq(core.lost),
            registers.frames_fd_count.eq(counts.fd_skipped),
            registers.errors_stuff_count.eq(counts.stuff_error),
            registers.errors_crc_count.eq(counts.crc_error),
            registers.errors_form_count.eq(counts.form_error),
            registers.overloads_count.eq(counts.overload),
        ]
        for number in range(self.shape.layers[-1].outputs):
            m.d.comb += getattr(registers, f"class_{number}_count").eq(recorded & (verdict == number))
        most = Signal(LATENCY_BITS)
        m.d.comb += registers.latency_max.eq(most)
        with m.If(core.latency_valid & (core.latency > most)):
            m.d.sync += most.eq(core.latency)
