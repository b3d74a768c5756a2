"""How many cycles each layer takes, foreseen from the instructions alone, to the cycle.

Units tell each other in which cycles things happen (`clock`), by formulas that follow the gateware's states
(`bus`, `kept`, `units`, `storer`), a burst or a row at a time, a word where they stop in between. Memory is
taken to answer after a fixed latency, a beat a cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hw.tile.fetch import BURST_BEATS, OUTSTANDING
from hw.tile.instruction import Instruction, Opcode
from hw.tile.preset import Preset
from hw.tile.timing.bus import Reader, ReadPort, Writer
from hw.tile.timing.clock import Clock
from hw.tile.timing.kept import KeptMaps
from hw.tile.timing.storer import Storer
from hw.tile.timing.units import Fetch, Loader, Sequencer

__all__ = ["layer_cycles"]


def layer_cycles(
    code: Sequence[Instruction], preset: Preset, *, latency: int = 40, outstanding: int = 8
) -> list[int]:
    """Cycles from START to the first LAYER, and from each LAYER to the next, as the engine's profile counts.

    A layer that takes turns with others has several of them.

    Example: `layer_cycles([decode(word) for word in words], preset("z7020"))`
    """
    clock, shared = Clock(), preset.ports == 1
    port = ReadPort(latency, shared=shared)
    reader = Reader(clock, port, outstanding=outstanding)
    code_port = port if shared else ReadPort(latency, shared=shared)
    code_reader = Reader(clock, code_port, outstanding=OUTSTANDING, most=BURST_BEATS)
    fetch = Fetch(code, preset, clock, code_reader)
    loads, computes, stores = fetch.queues
    kept = KeptMaps(clock)
    loader = Loader(preset, clock, reader, kept, loads)
    sequencer = Sequencer(preset, clock, computes)
    storer = Storer(preset, clock, Writer(latency=latency, outstanding=outstanding), stores)
    clock.run(
        [
            # In the order of their turns on the port.
            reader.run(),
            code_reader.run(),
            fetch.run(),
            kept.run(),
            loader.ask(sequencer.computed, storer.stored, storer.stored_kept),
            loader.write(storer.residual_freed),
            sequencer.run(loader.complete, storer.freed),
            storer.run(sequencer.row_ready, loader.residual_ready),
        ]
    )
    layers = sum(instruction.opcode is Opcode.LAYER for instruction in code)
    if len(sequencer.layers) < layers:
        raise ValueError(
            f"layer {len(sequencer.layers)} of {layers} never ends: an instruction waits for one behind it; "
            "let each wait for instructions before it only"
        )
    # The profile counts from the cycle after START.
    ends = [1, *sequencer.layers]
    return [after - before for before, after in pairwise(ends)]
