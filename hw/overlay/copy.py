"""The `copy` overlay: memory to memory, with a checksum on the way. The pattern that the others follow."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring

from hw.bus.reader import Reader
from hw.bus.register_map import Access, Field, Register
from hw.bus.writer import Writer
from hw.overlay.base import Overlay, OverlayShell
from hw.stream.checksum import Checksum

__all__ = ["CopyOverlay"]


def _address(name: str, doc: str) -> tuple[Register, Register]:
    return (
        Register.word(f"{name}_LO", doc=f"{doc}, low word."),
        Register.word(f"{name}_HI", bits=8, doc=f"{doc}, high word."),
    )


class CopyOverlay(Overlay):
    """DMA in, a checksum on the way, DMA out.

    START takes SOURCE, DESTINATION and LENGTH as they are then; `done` is raised once a job, when all is in
    memory. A source or destination beyond the address space fails the job at once; BUSY then stays until a
    soft reset.
    """

    def __init__(self, *, data_bits: int = 64, outstanding: int = 8):
        self._data_bits = data_bits
        self._outstanding = outstanding
        super().__init__(
            name="copy",
            version=(1, 0),
            memory_data_bits=data_bits,
            errors=("read", "write"),
            stalls=("read_address", "read_data", "write_address", "write_data"),
            registers=(
                Register(
                    name="CONTROL",
                    fields=(Field(name="START", access=Access.PULSE, doc="Write 1: start the job."),),
                ),
                *_address("SOURCE", "Address of the first byte to read"),
                *_address("DESTINATION", "Address of the first byte to write"),
                Register.word("LENGTH", doc="Bytes to copy."),
                Register.word(
                    "CHECKSUM",
                    access=Access.READ_ONLY,
                    doc="Sum of the bytes as little-endian 32-bit words, modulo 2**32.",
                ),
            ),
        )

    def build(self, m: Module, shell: OverlayShell) -> None:
        reader = Reader(data_bits=self._data_bits, outstanding=self._outstanding)
        writer = Writer(data_bits=self._data_bits, outstanding=self._outstanding)
        m.submodules.reader, m.submodules.writer = reader, writer
        m.submodules.checksum = checksum = Checksum(data_bits=self._data_bits)
        wiring.connect(m, reader.data, checksum.i)
        wiring.connect(m, checksum.o, writer.data)
        for engine, channels in ((reader, ("ar", "r")), (writer, ("aw", "w", "b"))):
            for channel in channels:
                wiring.connect(m, getattr(engine, channel), wiring.flipped(getattr(self.memory, channel)))

        registers = shell.registers
        start = Signal()
        m.d.comb += start.eq(registers.control_start & ~shell.busy)
        for engine, low, high in (
            (reader, registers.source_lo, registers.source_hi),
            (writer, registers.destination_lo, registers.destination_hi),
        ):
            m.d.comb += [
                engine.request.payload.addr.eq(Cat(low, high)),
                engine.request.payload.length.eq(registers.length),
                engine.flush.eq(shell.flush),
            ]
            with m.If(start):
                m.d.sync += engine.request.valid.eq(1)
            with m.Elif(engine.request.ready):
                m.d.sync += engine.request.valid.eq(0)

        self._build_job(m, shell, start, reader, writer)
        m.d.comb += [checksum.clear.eq(start), registers.checksum.eq(checksum.total)]

    def _build_job(
        self, m: Module, shell: OverlayShell, start: Signal, reader: Reader, writer: Writer
    ) -> None:
        """A job ends with the writer, or at once when the reader was refused."""
        busy, read_any, stuck = Signal(), Signal(), Signal()
        m.d.comb += stuck.eq(reader.done & ~read_any & (shell.registers.length != 0))
        with m.If(start):
            m.d.sync += [busy.eq(1), read_any.eq(0)]
        with m.Elif(writer.done & ~stuck):
            m.d.sync += busy.eq(0)
        with m.If(reader.r.valid & reader.r.ready):
            m.d.sync += read_any.eq(1)
        m.d.comb += [
            shell.busy.eq(busy),
            shell.idle.eq(reader.idle & writer.idle),
            shell.interrupts["done"].eq(writer.done | stuck),
        ]
        for name, engine in (("read", reader), ("write", writer)):
            m.d.comb += [
                shell.errors[name].raised.eq(engine.error.valid),
                shell.errors[name].addr.eq(engine.error.addr),
                shell.stalls[f"{name}_address"].eq(busy & engine.stalls.address),
                shell.stalls[f"{name}_data"].eq(busy & engine.stalls.data),
            ]
