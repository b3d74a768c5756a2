import pytest
from amaranth.sim import Simulator

from hw.bus.uart import UartTransmitter


def transmit(message, *, bit_cycles, gap=0):
    """Levels of the line while `message` goes out."""
    unit = UartTransmitter(bit_cycles=bit_cycles)
    levels, sent = [], []

    async def bench(ctx):
        waiting, pause = list(message), 0
        for _ in range((len(message) + 1) * (bit_cycles * 11 + gap) + 4):
            ctx.set(unit.bytes.valid, bool(waiting) and pause == 0)
            ctx.set(unit.bytes.payload, waiting[0] if waiting else 0)
            taken = bool(waiting) and pause == 0 and ctx.get(unit.bytes.ready)
            levels.append(ctx.get(unit.tx))
            await ctx.tick()
            pause = max(0, pause - 1)
            if taken:
                sent.append(waiting.pop(0))
                pause = gap

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert sent == list(message)
    return levels


def received(levels, bit_cycles):
    message, place = [], 0
    while place < len(levels):
        if levels[place]:
            place += 1
            continue
        frame = [levels[place + bit_cycles * n : place + bit_cycles * (n + 1)] for n in range(10)]
        assert all(len(set(bit)) == 1 for bit in frame), "every bit lasts its cycles"
        assert (frame[0][0], frame[9][0]) == (0, 1)
        message.append(sum(bit[0] << n for n, bit in enumerate(frame[1:9])))
        place += bit_cycles * UartTransmitter.BITS
    return bytes(message)


@pytest.mark.parametrize(("bit_cycles", "gap"), [(2, 0), (3, 0), (5, 40)])
def test_bytes_arrive(bit_cycles, gap):
    message = bytes([0x00, 0xFF, 0x55, 0xA7, 0x80, 0x01])
    levels = transmit(message, bit_cycles=bit_cycles, gap=gap)
    assert levels[0] == 1, "the line rests high from reset on"
    assert received(levels, bit_cycles) == message


def test_a_bit_of_one_cycle_is_refused():
    with pytest.raises(ValueError, match="bit_cycles of a UART must be at least 2, not 1"):
        UartTransmitter(bit_cycles=1)
