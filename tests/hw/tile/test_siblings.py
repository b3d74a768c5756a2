import pytest

from hw.tile.lower import depth_first, lower
from hw.tile.preset import preset

SIM = preset("sim")


def layers(program, engine=SIM):
    return [layer.name for layer in lower(program, engine).layers]


def test_layers_that_read_a_map_alike_become_one(net):
    draw = net(8, 6, 6)
    first, second = draw.conv("image"), draw.conv("image", 16)
    program = draw.program(draw.conv(first, kernel=3), draw.conv(second, kernel=3))
    lowered = lower(program, SIM)
    assert [layer.name for layer in lowered.layers] == ["conv0+conv2", "conv4", "conv6"]
    both, *readers = lowered.layers
    assert both.macs == (8 + 16) * 8 * 6 * 6
    assert both.output.planes == 3
    planes = [[(plane.buffer, plane.index) for plane in layer.source.planes] for layer in readers]
    assert planes == [[(both.output, 0)], [(both.output, 1), (both.output, 2)]]
    assert len(lowered.buffers) == 4, "the image, the map of both, and two outputs"


@pytest.mark.parametrize(
    "options", [{"kernel": 3}, {"maximum": 127}, {"outputs": 16, "kernel": 3}], ids=["kernel", "clip", "both"]
)
def test_layers_that_read_it_otherwise_do_not(net, options):
    draw = net(8, 6, 6)
    assert len(layers(draw.program(draw.conv("image"), draw.conv("image", **options)))) == 2


def test_channels_that_a_layer_reads_stay_in_their_lanes(net):
    draw = net(8, 6, 6)
    first, second = draw.conv("image", 5), draw.conv("image", 3)
    assert len(layers(draw.program(first, draw.conv(second, kernel=3)))) == 3


def test_channels_that_only_the_host_reads_share_a_plane_if_they_fit(net):
    draw = net(8, 6, 6)
    lowered = lower(draw.program(draw.conv("image", 5), draw.conv("image", 3)), SIM)
    assert len(lowered.layers) == 1
    channels = [view.planes[0].channels for view in lowered.outputs]
    assert channels == [(0, 1, 2, 3, 4, -1, -1, -1), (-1, -1, -1, -1, -1, 0, 1, 2)]
    draw = net(8, 6, 6)
    assert len(layers(draw.program(draw.conv("image", 5), draw.conv("image", 4)))) == 2


def test_a_sum_that_something_is_added_to_stays_alone(net):
    draw = net(8, 6, 6)
    first = draw.conv("image")
    program = draw.program(draw.quant(draw.add(draw.conv("image"), first), shift=1))
    assert len(layers(program)) == 2


def test_their_weights_take_half_of_the_memory_at_most(net):
    draw = net(8, 6, 6)
    program = draw.program(draw.conv("image"), draw.conv("image"))  # of two words each, with their biases
    assert len(layers(program, SIM.replace(weight_words=8))) == 1
    assert len(layers(program, SIM.replace(weight_words=4))) == 2


def test_what_reads_the_last_map_comes_next(net):
    draw = net(8, 6, 6)
    left, right = draw.conv("image"), draw.conv("image", kernel=3)
    left, right = draw.conv(left, kernel=3), draw.conv(right)
    program = draw.program(draw.concat(left, right))
    order = [op.name for op in depth_first(program) if op.kind == "Convolution"]
    assert order == ["conv0", "conv4", "conv2", "conv6"]
