import pytest

from hw.tile.layers import Layer
from hw.tile.lower import lower
from hw.tile.preset import preset
from models.program import Program

SIM = preset("sim")


def layers_of(program: Program) -> list[Layer]:
    return lower(program, SIM).layers


def sums(program: Program) -> list[bool]:
    """Of each layer, whether another map is added to its results on their way out."""
    return [layer.addend is not None for layer in layers_of(program)]


def residual(net, *, shape=(8, 6, 6), **quantiser) -> Program:
    """Two convolutions, whose maps are added and requantised."""
    draw = net(*shape)
    first = draw.conv("image", shape[0])
    return draw.program(draw.quant(draw.add(draw.conv(first, shape[0]), first), **quantiser))


@pytest.mark.parametrize(
    ("quantiser", "offset", "halves", "low", "high"),
    [
        ({"shift": 0}, 0, False, 0, 255),
        ({"shift": 1, "bias": 3}, 3, True, 0, 255),
        # A signed byte is kept with 128 added, which is 256 before it is halved.
        ({"shift": 1, "minimum": -128, "maximum": 127}, 256, True, 0, 255),
        ({"shift": 0, "bias": -7, "minimum": -3, "maximum": 5}, 121, False, 125, 133),
    ],
)
def test_an_add_is_made_on_the_way_out(net, quantiser, offset, halves, low, high):
    first, second = layers_of(residual(net, **quantiser))
    assert first.addend is None
    addend = second.addend
    assert (addend.offset, addend.halves, addend.low, addend.high) == (offset, halves, low, high)
    assert [plane.buffer for plane in addend.view.planes] == [first.output]
    assert second.output.name.startswith("quant")
    assert first.output.dies == 1
    assert second.read == [first.output], "read as source and as addend, it counts once"


def test_zero_points_of_both_maps_are_made_up_for(net):
    draw = net(8, 6, 6)
    signed = {"minimum": -128, "maximum": 127}
    first = draw.conv("image", **signed)
    second = draw.conv("image", **signed)
    program = draw.program(draw.quant(draw.add(first, second), shift=1, **signed))
    assert layers_of(program)[-1].addend.offset == 256 - 128 - 128


def test_the_later_of_both_maps_is_the_one_that_is_added_to(net):
    draw = net(8, 6, 6)
    first, second = draw.conv("image"), draw.conv("image")
    assert sums(draw.program(draw.quant(draw.add(first, second), shift=1))) == [False, True]


def test_a_sum_that_is_a_byte_needs_no_quantiser(net):
    draw = net(8, 6, 6)
    first, second = (draw.conv("image", maximum=127) for _ in range(2))
    program = draw.program(draw.add(first, second))
    assert sums(program) == [False, True]
    addend = layers_of(program)[-1].addend
    assert (addend.offset, addend.halves, addend.low, addend.high) == (0, False, 0, 254)


def test_a_doubled_map_and_the_hosts_can_be_added(net):
    draw = net(8, 6, 6)
    doubled = draw.up("image")
    program = draw.program(draw.quant(draw.add(draw.conv(doubled), doubled), shift=1))
    assert sums(program) == [True]
    assert layers_of(program)[0].addend.view.planes[0].twice


@pytest.mark.parametrize(
    "quantiser",
    [
        {"shift": 2},
        {"shift": [0, 1]},
        {"shift": 1, "bias": [1, 2]},
        {"shift": 0, "bias": 512},
        {"shift": 0, "bias": -513},
        {"shift": 1, "bias": 256, "minimum": -128, "maximum": 127},
    ],
)
def test_a_sum_that_the_adders_cannot_finish_is_a_pass_of_its_own(net, quantiser):
    assert sums(residual(net, **quantiser)) == [False, False, False]


@pytest.mark.parametrize("bias", [511, -512])
def test_the_greatest_offsets_still_go(net, bias):
    assert sums(residual(net, shift=0, bias=bias)) == [False, True]


def test_a_sum_of_more_than_a_byte_that_nothing_requantises_is_not_made_so(net):
    draw = net(8, 6, 6)
    first, second = draw.conv("image"), draw.conv("image")
    assert not any(sums(draw.program(draw.add(first, second))))


def test_results_that_others_read_too_leave_as_they_are(net):
    draw = net(8, 6, 6)
    first, second = draw.conv("image"), draw.conv("image")
    added, other = draw.quant(draw.add(first, second), shift=1), draw.conv(second)
    assert not any(sums(draw.program(added, other)))


def test_results_that_the_host_reads_too_leave_as_they_are(net):
    draw = net(8, 6, 6)
    first, second = draw.conv("image"), draw.conv("image")
    assert not any(sums(draw.program(draw.quant(draw.add(first, second), shift=1), second)))


def test_a_map_added_to_itself_is_a_pass_of_its_own(net):
    draw = net(8, 6, 6)
    first = draw.conv("image")
    assert sums(draw.program(draw.quant(draw.add(first, first), shift=1))) == [False, False]


def test_channels_in_other_lanes_are_added_in_a_pass_of_their_own(net):
    draw = net(8, 6, 6)
    parts = draw.concat(draw.conv("image", 3), draw.conv("image", 5))
    assert not any(sums(draw.program(draw.quant(draw.add(draw.conv("image"), parts), shift=1))))


def test_channels_behind_a_concat_that_fills_its_lanes_are_not(net):
    draw = net(8, 6, 6)
    parts = draw.concat(draw.conv("image"), draw.conv("image", 3))
    assert sums(draw.program(draw.quant(draw.add(draw.conv("image", 11), parts), shift=1)))[-1]


def test_planes_with_different_zeros_are_added_in_a_pass_of_their_own(net):
    draw = net(8, 6, 6)
    parts = draw.concat(draw.conv("image"), draw.conv("image", minimum=-128, maximum=127))
    assert not any(sums(draw.program(draw.quant(draw.add(draw.conv("image", 16), parts), shift=1))))
