import pytest
from amaranth.lib.wiring import In

from hw.overlay.base import Overlay
from hw.overlay.description import OverlayDescription


def test_the_common_registers_do_not_move():
    """Programs that read by offset, such as a probe of an unknown bitstream, rely on the head of the map."""
    head = ["ID", "VERSION", "DESIGN_HASH", "STATUS", "ERROR", "INTERRUPT", "ERROR_ADDR_LO", "ERROR_ADDR_HI"]
    for stalls in ((), ("a", "b")):
        registers = OverlayDescription(name="x", version=(1, 0), stalls=stalls).register_map.registers
        assert [register.name for register in registers[: len(head)]] == head


def describe(**changes):
    return OverlayDescription(**{"name": "x", "version": (1, 0), **changes})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: describe(name="X"), "name of an overlay must be lower case letters, digits and _, not 'X'"),
        (lambda: describe(version=(1, 1 << 16)), "overlay x: version must be two numbers of 16 bits"),
        (lambda: describe(errors=("a", "a")), "overlay x: error names must differ"),
        (lambda: describe(errors=("watchdog",)), "overlay x: error names must differ"),
        (
            lambda: describe(errors=tuple("abcdefghijklmnop")),
            "overlay x: at most 16 of kind error fit, not 17",
        ),
        (
            lambda: describe(interrupts=tuple("abcdefghi")),
            "overlay x: at most 8 of kind interrupt fit, not 9",
        ),
        (lambda: describe(interrupts=()), "overlay x needs an interrupt, or the host cannot wait for it"),
        (
            lambda: describe(interrupts=("read",)),
            "overlay x: interrupt 'read' would hide an attribute of pynq's",
        ),
        (lambda: describe(stalls=("No",)), "overlay x: stall 'No' must be lower case"),
        (
            lambda: describe(memory_data_bits=64, memory_ports=3),
            "overlay x: memory_ports must be 1 or 2, not 3",
        ),
        (
            lambda: describe(memory_ports=2),
            "overlay x: 2 memory ports need a width; give memory_data_bits",
        ),
        (lambda: describe(errors=("first",)).register_map, "would have the port 'error_first' twice"),
        (
            lambda: Overlay(name="x", version=(1, 0), pins={"interrupt": In(1)}),
            "overlay x: pin 'interrupt' has the name of a port of every overlay",
        ),
    ],
)
def test_a_bad_description_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
