from itertools import combinations

import numpy as np
import pytest

from hw.tile.keeping import RING_ROWS, Turn, keep, span, take_turns
from hw.tile.layers import Buffer
from hw.tile.lower import lower
from hw.tile.preset import Preset, preset
from hw.tile.tiling import Cut, cut
from models.program import Program
from sim.campaigns.tile_programs import random_network

SIM = preset("sim")


def planned(program: Program, engine: Preset = SIM) -> tuple[list[Turn], list[Buffer]]:
    """Which layers take turns, and all maps with what is kept of them."""
    lowered = lower(program, engine)
    cuts = [cut(layer, engine) for layer in lowered.layers]
    assert all(isinstance(each, Cut) for each in cuts)
    turns = take_turns(cuts, engine)
    keep(lowered.buffers, turns, engine)
    return turns, lowered.buffers


def together(program: Program, engine: Preset = SIM) -> list[int]:
    """How many layers each turn has."""
    return [turn.layers for turn in planned(program, engine)[0]]


def kept(program: Program, engine: Preset = SIM) -> dict[str, int]:
    return {buffer.name: buffer.kept_rows for buffer in planned(program, engine)[1]}


def test_a_layer_takes_turns_with_the_only_reader_of_its_map(net):
    draw = net(8, 6, 8)
    first = draw.conv("image", kernel=3)
    program = draw.program(draw.conv(first, kernel=3))
    assert together(program) == [2]
    assert kept(program)[first] == RING_ROWS


def test_a_map_of_one_row_needs_room_for_one(net):
    draw = net(8, 1, 8)
    first = draw.conv("image")
    assert kept(draw.program(draw.conv(first)))[first] == 1


def test_as_many_layers_take_turns_as_there_are_parts_of_the_banks(net):
    draw, at = net(8, 6, 8), "image"
    for _ in range(10):
        at = draw.conv(at)
    assert together(draw.program(at)) == [8, 2]


@pytest.mark.parametrize(("width", "turns"), [(7, [1, 1]), (8, [2])])
def test_layers_whose_rows_are_short_do_not(net, width, turns):
    """A row of two pixel lanes has to have eight columns."""
    draw = net(8, 6, width)
    assert together(draw.program(draw.conv(draw.conv("image")))) == turns


def test_layers_whose_map_others_read_too_do_not(net):
    draw = net(8, 6, 8)
    first = draw.conv("image")
    program = draw.program(draw.conv(first, kernel=3), draw.conv(first))
    assert together(program) == [1, 1, 1]
    assert kept(program)[first] == 6, "it is kept whole"


def test_layers_whose_map_the_host_reads_too_do_not(net):
    draw = net(8, 6, 8)
    first = draw.conv("image")
    assert together(draw.program(first, draw.conv(first))) == [1, 1]


def test_layers_whose_map_is_read_twice_by_one_do(net):
    draw = net(8, 6, 8)
    first = draw.conv("image")
    assert together(draw.program(draw.conv(draw.concat(first, first)))) == [2]


def test_neighbours_that_do_not_read_each_other_do_not(net):
    draw = net(8, 6, 8)
    sides = draw.conv("image", kernel=3), draw.conv("image")
    assert together(draw.program(*sides)) == [1, 1]


def test_a_map_that_is_only_added_does_not_come_row_by_row(net):
    draw = net(8, 6, 8)
    added, other = draw.conv("image"), draw.conv("image")
    assert together(draw.program(draw.quant(draw.add(other, added), shift=1))) == [1, 1]


def test_a_map_that_is_read_and_added_too_does_not(net):
    """Its rows would have to stay until they are added."""
    draw = net(8, 6, 8)
    first = draw.conv("image")
    assert together(draw.program(draw.quant(draw.add(draw.conv(first), first), shift=1))) == [1, 1]


def test_others_that_a_reader_reads_are_complete_before(net):
    draw = net(8, 6, 8)
    early = draw.conv("image")
    late = draw.conv(early)
    program = draw.program(draw.conv(draw.concat(late, early)))
    assert together(program) == [1, 2]


@pytest.mark.parametrize(
    ("short", "enough"),
    [
        ({"feature_words": 64}, {"feature_words": 128}),  # four rows of nine, in each half
        ({"weight_words": 16}, {"weight_words": 32}),  # ten each
        ({"kept_words": 16}, {"kept_words": 32}),  # two rows of fourteen
    ],
)
def test_layers_that_do_not_fit_together_do_not(net, short, enough):
    draw = net(8, 6, 14)
    program = draw.program(draw.conv(draw.conv("image", kernel=3), kernel=3))
    assert together(program, SIM.replace(**short)) == [1, 1]
    assert together(program, SIM.replace(**enough)) == [2]


def test_one_more_layer_must_leave_room_for_the_others(net):
    """Of two layers each has half of the banks, of three a quarter."""
    draw = net(8, 6, 12)
    program = draw.program(draw.conv(draw.conv(draw.conv("image", kernel=3), kernel=3), kernel=3))
    assert together(program, SIM.replace(feature_words=64)) == [2, 1]
    assert together(program, SIM.replace(feature_words=128)) == [3]


def test_layers_that_are_cut_into_strips_do_not(net):
    draw = net(8, 6, SIM.row_words + 2)
    assert together(draw.program(draw.conv(draw.conv("image")))) == [1, 1]


def test_layers_whose_weights_pass_by_do_not(net):
    draw = net(8, 6, 8)
    wide = draw.conv("image", 16, kernel=3)
    program = draw.program(draw.conv(wide))
    assert together(program, SIM.replace(weight_words=16)) == [1, 1]
    assert together(program, SIM.replace(weight_words=32)) == [2]


def test_the_map_that_takes_less_room_for_less_time_is_kept(net):
    draw = net(8, 6, 8)
    small, large = draw.conv("image", 8), draw.conv("image", 16, kernel=3)
    read = [draw.conv(source, kernel=kernel) for source in (small, large) for kernel in (1, 3)]
    program = draw.program(*read)
    assert kept(program) == {"image": 0, small: 6, large: 6} | dict.fromkeys(read, 0)
    assert kept(program, SIM.replace(kept_words=64)) == dict.fromkeys(("image", large, *read), 0) | {small: 6}
    assert not any(kept(program, SIM.replace(kept_words=32)).values())


def test_what_is_kept_fits_and_is_neither_the_hosts_nor_overwritten_while_it_lives():
    rings = whole = 0
    for seed in range(150):
        engine = SIM.replace(kept_words=(64, 256, 512)[seed % 3])
        program = random_network(np.random.default_rng(seed))
        turns, buffers = planned(program, engine)
        inside = [buffer for buffer in buffers if buffer.kept_rows]
        words = {each: each.planes * each.width * each.kept_rows for each in inside}
        for buffer in inside:
            assert buffer.offset // engine.channels + words[buffer] <= engine.kept_words
            assert buffer.born >= 0, "the host writes it"
            assert buffer.dies < len(lower(program, engine).layers), "the host reads it"
            ring = buffer.kept_rows < buffer.height
            assert not ring or span(buffer, turns)[0] == span(buffer, turns)[1]
            rings, whole = rings + ring, whole + (not ring)
        for one, other in combinations(inside, 2):
            (born, dies), (other_born, other_dies) = span(one, turns), span(other, turns)
            start, other_start = (each.offset // engine.channels for each in (one, other))
            apart = start + words[one] <= other_start or other_start + words[other] <= start
            assert apart or dies < other_born or other_dies < born
    assert min(rings, whole) > 30
