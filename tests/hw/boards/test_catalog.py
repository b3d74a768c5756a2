import re

import pytest
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from hw.boards.board import FlowName, flow_named
from hw.boards.catalog import BOARDS, board_named


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_board_is_whole(board):
    balls = [pin.ball for pin in board.pins]
    assert len(set(balls)) == len(balls), "two ports on one ball"
    assert all(re.fullmatch(r"[A-Y]{1,2}\d{1,2}", ball) for ball in balls)
    assert {"can_rx", "can_tx"} <= {pin.port for pin in board.pins}
    assert board.flows
    assert (board.flavour is None) == (board.memory_port is None) == (FlowName.ECP5 in board.flows)
    if board.flavour is not None:
        assert board.memory_port == board.flavour.processing_system.memory_ports[0].name


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("PYNQ-Z2", "Pynq-Z2"),
        ("pynq_z2", "Pynq-Z2"),
        ("zcu104", "ZCU104"),
        ("Ultra96-V2", "Ultra96"),
        ("ulx3s", "ULX3S"),
    ],
)
def test_people_spell_boards_in_many_ways(said, meant):
    assert board_named(said).name == meant


def test_a_board_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"there is no board 'zcu105'; there are Pynq-Z2, .* Did you mean ZCU104\?"
    ):
        board_named("zcu105")
    with pytest.raises(ValueError, match="there is no flow 'quartus'; there are ecp5, zynq7000, vivado"):
        flow_named("quartus")


def test_a_port_without_a_pin_is_refused():
    with pytest.raises(ValueError, match="board KV260 has 0 pins for port 'leds' of 8 bits; add them"):
        board_named("kv260").pins_of({"leds": 8})


def test_ulx3s_agrees_with_amaranth_boards():
    board, platform = board_named("ulx3s"), ULX3S_85F_Platform()
    known = {(resource.name, resource.number): resource for resource in platform.resources.values()}
    (gpio,) = (c for c in platform.connectors.values() if c.name == "gpio")
    assert board.part == f"{platform.device}-{platform.speed}{platform.package}C"
    places = {}
    for pin in board.pins:
        places.setdefault(pin.port, []).append(pin.ball)
    assert places["leds"] == [known["led", n].ios[0].names[0] for n in range(8)]
    uart = {io.name: io.ios[0].names[0] for io in known["uart", 0].ios if hasattr(io.ios[0], "names")}
    assert places["uart_tx"] == [uart["tx"]]
    assert places["can_rx"] == [gpio.mapping["14+"]]
    assert places["can_tx"] == [gpio.mapping["14-"]]
    from hw.flow.ecp5 import OSCILLATOR_BALL

    assert known["clk25", 0].ios[0].names == [OSCILLATOR_BALL]
