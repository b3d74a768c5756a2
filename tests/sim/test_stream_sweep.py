import pytest
from amaranth.hdl import signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.stream import Fork, Join, SkidBuffer
from sim.stream_ports import stream_ports
from sim.stream_sweep import GAPS, STALLS, StreamBench, StreamViolation, sweep


class Nested(wiring.Component):
    """A component whose streams lie in an interface, seen from either side."""

    memory: Out(wiring.Signature({"request": Out(stream.Signature(3)), "answer": In(stream.Signature(4))}))
    control: In(wiring.Signature({"request": Out(stream.Signature(5))}))
    enable: In(1)

    def elaborate(self, platform):
        raise NotImplementedError


def test_streams_are_found_wherever_they_lie():
    found = {port.name: (port.flow, port.shape) for port in stream_ports(Nested())}
    assert found == {"memory.request": (Out, 3), "memory.answer": (In, 4), "control.request": (In, 5)}
    assert [port.name for port in stream_ports(Fork(shape=1, n=2))] == ["i", "o[0]", "o[1]"]


def test_payloads_of_every_kind_survive_the_trip():
    shape = data.StructLayout({"sum": signed(5), "row": data.ArrayLayout(signed(2), 2), "last": 1})
    port = stream_ports(SkidBuffer(shape=shape))[0]
    item = {"sum": -11, "row": [-2, 1], "last": 1}
    assert port.decode(port.encode(item)) == item
    assert stream_ports(SkidBuffer(shape=signed(4)))[0].encode(-1) == 15


@pytest.mark.parametrize("gap", GAPS)
def test_a_source_keeps_its_gaps(gap):
    run = StreamBench(SkidBuffer(shape=8)).run({"i": range(40)}, gap=GAPS[gap], seed=3)
    cycles = run.cycles["i"][-1] + 1
    assert run.items["o"] == list(range(40))
    assert (cycles == 40) == (gap == "no gap")


@pytest.mark.parametrize("stall", STALLS)
def test_a_sink_keeps_its_stalls(stall):
    run = StreamBench(SkidBuffer(shape=8)).run({"i": range(40)}, stall=STALLS[stall], seed=3)
    assert run.items["o"] == list(range(40))
    assert (run.cycles["o"][-1] == 40) == (stall == "no stall")


def test_the_same_seed_gives_the_same_run_and_another_does_not():
    bench = StreamBench(SkidBuffer(shape=8))
    runs = [bench.run({"i": range(20)}, gap=GAPS["random"], seed=seed) for seed in (5, 5, 6)]
    assert runs[0] == runs[1]
    assert runs[0].cycles != runs[2].cycles


def test_a_hang_names_what_still_waits():
    bench = StreamBench(Join(shapes={"a": 8, "b": 8}))
    with pytest.raises(
        StreamViolation, match=r"hang: no transfer in \d+ cycles; i\.a still has 2 items to give"
    ):
        bench.run({"i.a": [1, 2], "i.b": []})


def test_an_unknown_port_is_named():
    with pytest.raises(ValueError, match=r"no such input: \['j'\]; the unit takes items on \['i'\]"):
        StreamBench(SkidBuffer(shape=8)).run({"j": [1]})


def test_a_golden_twin_for_another_unit_is_refused():
    with pytest.raises(ValueError, match=r"golden gives \['x'\], but the unit has \['o'\]"):
        sweep(SkidBuffer(shape=8), items=lambda *_: {"i": [1]}, golden=lambda _: {"x": [1]})
