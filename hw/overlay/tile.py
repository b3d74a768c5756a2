"""The `tile` overlay: the convolution engine behind registers, with its program and its maps in memory."""

from collections.abc import Mapping

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring

from hw.bus.reader import Reader
from hw.bus.register_map import Access, Field, Register
from hw.bus.transfer import Transfer
from hw.bus.writer import Writer
from hw.overlay.base import Overlay, OverlayShell
from hw.overlay.description import MEMORY_ADDR_BITS
from hw.tile import fetch
from hw.tile.engine import Engine
from hw.tile.preset import Preset
from hw.tile.preset import preset as named_preset
from hw.tile.profile import EVENTS
from hw.tile.share import ReadShare

__all__ = ["TileOverlay"]

#: Bits of the longest transfer's length: programs, and words of weights at once, are shorter than 16 MiB.
LENGTH_BITS = 24
#: Which memory port each reader hangs on, the first or the second; where there is one, all share it.
PORT_OF_READER = {"data": 0, "code": 1}


class TileOverlay(Overlay):
    """START runs the CODE_LENGTH bytes of instructions at CODE on the arena at ARENA.

    Both begin at a multiple of a bus beat's bytes, as pages do; address bits below are not looked at.
    `done` is raised once a job: when END was reached and everything is in memory, or when the engine halts at
    an illegal instruction or an address beyond ARENA_LENGTH. After such a halt BUSY stays until a soft reset.
    Bus errors are kept and the job goes on, with wrong data, to its end. With `technology`, adders are
    instantiated for that family, see `TernaryAdd`; simulators and other families want none.

    With `Preset.ports` of two, features, weights and results go by `memory` and instructions by `memory_1`.
    """

    def __init__(self, *, preset: str | Preset = "sim", outstanding: int = 8, technology: str | None = None):
        self.preset = named_preset(preset) if isinstance(preset, str) else preset
        self._technology = technology
        self._outstanding = outstanding
        super().__init__(
            name="tile",
            version=(1, 0),
            memory_data_bits=self.preset.bus_bits,
            memory_ports=self.preset.ports,
            errors=("instruction", "range", "read", "write"),
            stalls=("load", "store", "drain"),
            registers=_registers(),
            parameters={"ENGINE": self.preset.name, "TARGET_HASH": f"0x{self.preset.target_hash}"},
        )

    def build(self, m: Module, shell: OverlayShell) -> None:
        bus_bits = self.preset.bus_bits
        m.submodules.engine = engine = Engine(self.preset, technology=self._technology)
        m.submodules.code = code = Reader(
            data_bits=bus_bits, outstanding=fetch.OUTSTANDING, burst_beats=fetch.BURST_BEATS
        )
        m.submodules.reader = reader = Reader(data_bits=bus_bits, outstanding=self._outstanding)
        m.submodules.writer = writer = Writer(data_bits=bus_bits, outstanding=self._outstanding)
        readers = {"data": reader, "code": code}
        shares = self._connect_readers(m, readers)
        for channel in ("aw", "w", "b"):
            wiring.connect(m, getattr(writer, channel), wiring.flipped(getattr(self.memory, channel)))
        wiring.connect(m, code.data, engine.code)
        wiring.connect(m, reader.data, engine.read_data)
        wiring.connect(m, engine.write_data, writer.data)

        registers = shell.registers
        busy, start, halted = Signal(), Signal(), Signal()
        requested = stream.Signature(Transfer(MEMORY_ADDR_BITS)).create()
        for source, sink in ((requested, code), (engine.read, reader), (engine.write, writer)):
            self._request(m, source, sink.request)
        m.d.comb += [
            start.eq(registers.control_start & ~busy),
            engine.start.eq(start),
            engine.base.eq(Cat(registers.arena_lo, registers.arena_hi)),
            engine.limit.eq(registers.arena_length),
            engine.written.eq(writer.done),
            requested.payload.addr.eq(Cat(registers.code_lo, registers.code_hi)),
            requested.payload.length.eq(registers.code_length),
        ]
        with m.If(start):
            m.d.sync += [busy.eq(1), requested.valid.eq(1)]
        with m.Elif(busy & engine.finished & ~halted):
            m.d.sync += busy.eq(0)
        with m.If(requested.ready & requested.valid):
            m.d.sync += requested.valid.eq(0)
        stops = engine.illegal | engine.outside
        with m.If(stops):
            m.d.sync += halted.eq(1)
        units: list[Reader | Writer | ReadShare] = [*readers.values(), writer, *shares]
        m.d.comb += [
            shell.busy.eq(busy),
            shell.idle.eq(Cat(unit.idle for unit in units).all()),
            shell.progress.eq(engine.busy),
            shell.interrupts["done"].eq((busy & engine.finished & ~halted) | stops),
        ]
        for each in (*readers.values(), writer):
            m.d.comb += each.flush.eq(shell.flush)
        self._report(m, shell, engine, readers, writer, busy)

    def _connect_readers(self, m: Module, readers: Mapping[str, Reader]) -> list[ReadShare]:
        """Each to its memory port; return what stands between where several share one."""
        shares: list[ReadShare] = []
        last = self.preset.ports - 1
        for index, memory in enumerate(self.description.memories):
            units = [reader for name, reader in readers.items() if min(PORT_OF_READER[name], last) == index]
            source: Reader | ReadShare = units[0]
            if len(units) > 1:
                m.submodules[f"share_{memory}"] = source = share = ReadShare(
                    n=len(units), data_bits=self.preset.bus_bits
                )
                for unit, its in zip(units, share.readers, strict=True):
                    wiring.connect(m, unit.ar, its.ar)
                    wiring.connect(m, unit.r, its.r)
                shares.append(share)
            for channel in ("ar", "r"):
                port = getattr(getattr(self, memory), channel)
                wiring.connect(m, getattr(source, channel), wiring.flipped(port))
        return shares

    def _request(self, m: Module, source, sink) -> None:
        """Of whole beats, and the DMA engine loses all that would shift bytes between lanes."""
        lane_bits = self.preset.channels.bit_length() - 1
        whole = Const(0, lane_bits)
        m.d.comb += [
            sink.payload.addr.eq(Cat(whole, source.payload.addr[lane_bits:])),
            sink.payload.length.eq(Cat(whole, source.payload.length[lane_bits:LENGTH_BITS])),
            sink.valid.eq(source.valid),
            source.ready.eq(sink.ready),
        ]

    def _report(self, m: Module, shell: OverlayShell, engine, readers, writer, busy: Signal) -> None:
        registers = shell.registers
        m.d.comb += [
            shell.errors["instruction"].raised.eq(engine.illegal),
            shell.errors["instruction"].addr.eq(engine.illegal_number << 5),
            shell.errors["range"].raised.eq(engine.outside),
            shell.errors["range"].addr.eq(engine.outside_addr),
            shell.errors["write"].raised.eq(writer.error.valid),
            shell.errors["write"].addr.eq(writer.error.addr),
            shell.stalls["load"].eq(busy & engine.wait_load),
            shell.stalls["store"].eq(busy & engine.wait_store),
            shell.stalls["drain"].eq(busy & engine.wait_drain),
            engine.profile.entry.eq(registers.profile_entry),
        ]
        failed = shell.errors["read"]
        for reader in readers.values():
            with m.If(reader.error.valid):
                m.d.comb += [failed.raised.eq(1), failed.addr.eq(reader.error.addr)]
        for index, name in enumerate(EVENTS):
            m.d.comb += getattr(registers, f"profile_{name}").eq(engine.profile.word[index])


def _address(name: str, doc: str) -> tuple[Register, Register]:
    return (
        Register.word(f"{name}_LO", doc=f"{doc}, low word."),
        Register.word(f"{name}_HI", bits=8, doc=f"{doc}, high word."),
    )


def _registers() -> tuple[Register, ...]:
    start = Field(name="START", access=Access.PULSE, doc="Write 1: run the program.")
    return (
        Register(name="CONTROL", fields=(start,)),
        *_address("CODE", "Address of the first instruction"),
        Register.word("CODE_LENGTH", doc="Bytes of instructions."),
        *_address("ARENA", "Address of the weights and maps"),
        Register.word("ARENA_LENGTH", doc="Bytes of the arena; nothing beyond is read or written."),
        Register.word("PROFILE_ENTRY", bits=8, doc="Layer whose counters the registers below show."),
        *(
            Register.word(
                f"PROFILE_{name.upper()}",
                access=Access.READ_ONLY,
                doc=f"`{name}` while the layer was under way.",
            )
            for name in EVENTS
        ),
    )
