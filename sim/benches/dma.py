"""The read and the write engine side by side on cocotbext-axi's AXI memory, at every width.

That model is somebody else's reading of AXI: it checks 4 KiB, beat counts and strobes on its own terms.
"""

import random
from collections import deque
from functools import partial

import cocotb
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from cocotbext.axi import AxiBus, AxiRam, AxiResp

from hw.bus.axi import AXI4
from hw.bus.reader import Reader
from hw.bus.transfer import Transfer, plan_bursts
from hw.bus.writer import Writer
from hw.stream import ByteBeat
from sim.axi_memory import pack_beats, unpack_beat
from sim.benches.runner import Bench, parameters

ADDR_BITS = 20
HALF = 1 << (ADDR_BITS - 1)  # reads below, writes above: both engines run at once and must not meet
HANG_CYCLES = 20_000
ENGINES = ("reader", "writer")


class Dma(wiring.Component):
    """Both engines behind one AXI4 port."""

    def __init__(self, *, data_bits: int):
        self._data_bits = data_bits
        ports = {"memory": Out(AXI4(data_bits=data_bits, addr_bits=ADDR_BITS))}
        for engine, flow in zip(ENGINES, (Out, In), strict=True):
            ports |= {
                f"{engine}_request": In(stream.Signature(Transfer(ADDR_BITS))),
                f"{engine}_data": flow(stream.Signature(ByteBeat(data_bits))),
                f"{engine}_done": Out(1),
                f"{engine}_error": Out(2 + 1 + ADDR_BITS),
                f"{engine}_idle": Out(1),
            }
        super().__init__({**ports, "flush": In(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        for name, kind, channels in (("reader", Reader, "ar r"), ("writer", Writer, "aw w b")):
            m.submodules[name] = engine = kind(data_bits=self._data_bits, addr_bits=ADDR_BITS)
            for channel in channels.split():
                wiring.connect(m, getattr(engine, channel), wiring.flipped(getattr(self.memory, channel)))
            for port in ("request", "data"):
                wiring.connect(m, getattr(engine, port), wiring.flipped(getattr(self, f"{name}_{port}")))
            m.d.comb += [
                engine.flush.eq(self.flush),
                getattr(self, f"{name}_done").eq(engine.done),
                getattr(self, f"{name}_error").eq(engine.error),
                getattr(self, f"{name}_idle").eq(engine.idle),
            ]
        return m


class Surroundings:
    """Everything around the engines, advanced once a cycle; watches that stalled outputs stay."""

    def __init__(self, dut) -> None:
        self.dut, self._random = dut, random.Random(1)
        self.pauses = 0.0
        self.data_bits = parameters()["data_bits"]
        self.queues: dict[str, deque[int]] = {
            name: deque() for name in ("reader_request", "writer_request", "writer_data")
        }
        self.packets: list[bytes] = []
        self.done: dict[str, int] = {}
        self.errors: dict[str, list[tuple[int, int]]] = {}
        self.forget()
        self._watched = {
            f"m_axi_memory_{channel}": [
                getattr(dut, f"m_axi_memory_{channel}{field}") for field in fields.split()
            ]
            for channel, fields in (("aw", "addr len"), ("w", "data strb last"), ("ar", "addr len"))
        }
        self._stalled: dict[str, list[int] | None] = {}

    def forget(self) -> None:
        """Begin a new account of what the engines gave."""
        self.packets = []
        self.done = dict.fromkeys(ENGINES, 0)
        self.errors = {name: [] for name in ENGINES}
        self._packet = bytearray()

    @classmethod
    async def around(cls, dut) -> "Surroundings":
        """Start clock, memory and streams, and reset the engines. Once a test: nothing stops again."""
        made = cls(dut)
        await made._start()
        return made

    async def _start(self) -> None:
        dut = self.dut
        Clock(dut.clk, 10, unit="ns").start()
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi_memory"), dut.clk, dut.rst, size=1 << ADDR_BITS)
        self.ram.write(0, self._random.randbytes(1 << ADDR_BITS))
        dut.flush.value = dut.reader_data_ready.value = 0
        for name in self.queues:
            getattr(dut, f"{name}_valid").value = 0
        dut.rst.value = 1
        await ClockCycles(dut.clk, 3)
        dut.rst.value = 0
        await RisingEdge(dut.clk)
        read, write = self.ram.read_if, self.ram.write_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(self._pause())
        cocotb.start_soon(self._run())

    def _pause(self):
        chooser = random.Random(self._random.random())
        while True:
            yield self.pauses > 0 and chooser.random() < self.pauses

    def _moves(self) -> bool:
        return self.pauses == 0 or self._random.random() >= self.pauses

    async def _run(self) -> None:
        """Between two edges all is settled: what is valid and ready then, moves at the next edge."""
        dut = self.dut
        while True:
            await FallingEdge(dut.clk)
            self._watch()
            taken = [
                name
                for name in self.queues
                if int(getattr(dut, f"{name}_valid").value) and int(getattr(dut, f"{name}_ready").value)
            ]
            if int(dut.reader_data_valid.value) and int(dut.reader_data_ready.value):
                self._receive(int(dut.reader_data_payload.value))
            await RisingEdge(dut.clk)
            for name, queue in self.queues.items():
                valid = getattr(dut, f"{name}_valid")
                if name in taken:
                    queue.popleft()
                if name in taken or not int(valid.value):
                    offered = bool(queue) and self._moves()
                    valid.value = offered
                    if offered:
                        getattr(dut, f"{name}_payload").value = queue[0]
            dut.reader_data_ready.value = self._moves()

    def _watch(self) -> None:
        for engine in ENGINES:
            self.done[engine] += int(getattr(self.dut, f"{engine}_done").value)
            error = int(getattr(self.dut, f"{engine}_error").value)
            if error & 1:
                self.errors[engine].append((error >> 1 & 3, error >> 3))
        for name, fields in self._watched.items():
            valid = int(getattr(self.dut, f"{name}valid").value)
            payload = [int(field.value) for field in fields] if valid else None
            before = self._stalled.get(name)
            assert before is None or payload == before, f"{name} changed while it was stalled"
            self._stalled[name] = None if int(getattr(self.dut, f"{name}ready").value) else payload

    def _receive(self, word: int) -> None:
        chunk, last = unpack_beat(word, data_bits=self.data_bits)
        self._packet += chunk
        if last:
            self.packets.append(bytes(self._packet))
            self._packet.clear()

    def ask(self, engine: str, addr: int, length: int) -> None:
        self.queues[f"{engine}_request"].append(addr | length << ADDR_BITS)

    def give(self, packet: bytes) -> None:
        self.queues["writer_data"].extend(pack_beats(packet, data_bits=self.data_bits))

    async def until_idle(self) -> None:
        quiet = cycles = 0
        limit = HANG_CYCLES + 100 * sum(map(len, self.queues.values()))
        while quiet < 10:
            await FallingEdge(self.dut.clk)
            idle = all(int(getattr(self.dut, f"{engine}_idle").value) for engine in ENGINES)
            busy = any(self.queues.values()) or not idle
            quiet, cycles = 0 if busy else quiet + 1, cycles + 1
            assert cycles < limit, f"hung; done {self.done}"


async def move(around: Surroundings, transfers: list[tuple[int, int]], *, seed: int) -> None:
    """Run each transfer through both engines, reading below HALF and writing above, and compare."""
    around.forget()
    before = around.ram.read(0, 1 << ADDR_BITS)
    wanted = bytearray(before)
    rng = random.Random(seed)
    for addr, length in transfers:
        packet = rng.randbytes(length)
        around.ask("reader", addr, length)
        around.ask("writer", HALF + addr, length)
        around.give(packet)
        wanted[HALF + addr : HALF + addr + length] = packet
    await around.until_idle()
    assert around.packets == [before[addr : addr + length] for addr, length in transfers if length]
    assert around.ram.read(0, 1 << ADDR_BITS) == bytes(wanted)
    assert around.done == dict.fromkeys(ENGINES, len(transfers))
    assert around.errors == {"reader": [], "writer": []}


@cocotb.test()
async def every_start_with_every_length(dut):
    lanes = parameters()["data_bits"] // 8
    lengths = range(1, parameters()["lengths"] + 1)
    # Just below 4 KiB, so that the longer ones cross it.
    transfers = [(4096 - 2 * lanes + offset, length) for offset in range(lanes) for length in lengths]
    await move(await Surroundings.around(dut), transfers, seed=1)


@cocotb.test()
async def random_transfers_under_random_pauses(dut):
    around = await Surroundings.around(dut)
    for seed in range(parameters()["seeds"]):
        rng = random.Random(seed)
        around.pauses = rng.choice([0.1, 0.3, 0.6])
        transfers = [(rng.randrange(HALF - 9000), rng.choice([0, 5, 700, 3000])) for _ in range(12)]
        await move(around, transfers, seed=seed)


class Faults:
    """Lets the memory refuse the beats at some addresses; the model alone has only SLVERR for that."""

    def __init__(self, around: Surroundings, *addresses: int):
        self.response = AxiResp.SLVERR
        self._words = {addr // (around.data_bits // 8) for addr in addresses}
        self._beat_bytes = around.data_bits // 8
        read, write = around.ram.read_if, around.ram.write_if
        read._read, write._write = self._failing(read._read), self._failing(write._write)
        read.r_channel.send = self._answering(read.r_channel.send, "rresp")
        write.b_channel.send = self._answering(write.b_channel.send, "bresp")

    def _failing(self, original):
        async def access(addr, argument):
            if addr // self._beat_bytes in self._words:
                raise OSError("injected")
            return await original(addr, argument)

        return access

    def _answering(self, original, field: str):
        async def send(answer):
            if getattr(answer, field) == AxiResp.SLVERR:
                setattr(answer, field, self.response)
            await original(answer)

        return send


@cocotb.test()
async def errors_come_with_their_address(dut):
    around = await Surroundings.around(dut)
    around.pauses = 0.2
    beat_bytes = around.data_bits // 8
    at = 0x1003 + 300
    faults = Faults(around, at, HALF + at)
    plan = plan_bursts(HALF + 0x1003, 700, data_bits=around.data_bits)
    hit = [burst.addr for burst in plan if 0 <= HALF + at - burst.addr < burst.beats * beat_bytes]
    for faults.response in (AxiResp.SLVERR, AxiResp.DECERR):
        around.forget()
        for addr, length in ((0x1003, 700), (0x2001, 90)):
            around.ask("reader", addr, length)
            around.ask("writer", HALF + addr, length)
            around.give(bytes(length))
        await around.until_idle()
        response = int(faults.response)
        assert around.errors["reader"] == [(response, at // beat_bytes * beat_bytes)]
        assert around.errors["writer"] == [(response, addr) for addr in hit]
        assert around.done == dict.fromkeys(ENGINES, 2)
        assert [len(packet) for packet in around.packets] == [700, 90]


@cocotb.test()
async def works_again_after_a_flush(dut):
    around = await Surroundings.around(dut)
    for seed in range(parameters()["seeds"]):
        rng = random.Random(seed)
        around.pauses = rng.choice([0, 0.5])
        for n in range(6):
            around.ask("reader", 1000 * n + 3, 900)
            around.ask("writer", HALF + 1000 * n + 5, 900)
            around.give(bytes(900))
        await ClockCycles(dut.clk, rng.randrange(10, 400))
        dut.flush.value = 1
        for queue in around.queues.values():
            while len(queue) > 1:  # a word on offer stays; the flush takes and drops it
                queue.pop()
        await ClockCycles(dut.clk, 20)
        await around.until_idle()
        dut.flush.value = 0
        await ClockCycles(dut.clk, 4)
        await move(around, [(77, 333), (40_001, 1)], seed=seed)


BENCHES = tuple(
    Bench(
        name=f"dma-{data_bits}",
        component=partial(Dma, data_bits=data_bits),
        module=__name__,
        parameters={"data_bits": data_bits, "lengths": 200, "seeds": 6},
    )
    for data_bits in (32, 64, 128)
)
