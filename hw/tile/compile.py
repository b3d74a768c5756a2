"""A program becomes one binary: weights, instructions, and a header that says where everything lies."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import asdict, dataclass

from hw.tile.keeping import Turn, keep, span, take_turns
from hw.tile.layers import Buffer, Lowered, View
from hw.tile.lower import lower
from hw.tile.placing import place
from hw.tile.preset import PRESETS, Preset
from hw.tile.preset import preset as named_preset
from hw.tile.schedule import LayerCost, schedule
from hw.tile.siblings import SIBLINGS
from hw.tile.tiling import Cut, cut
from models.program import Program
from models.program.ops import Op, ProgramError

__all__ = ["MAGIC", "Compiled", "compile_program"]

MAGIC = b"COLNTILE"
#: Of the maps behind the weights, and of each map.
ALIGNMENT, BOUNDARY = 4096, 128


@dataclass
class Compiled:
    """A binary and what the compiler foresees of it."""

    preset: Preset
    binary: bytes
    costs: list[LayerCost]
    code: bytes
    arena_bytes: int


def compile_program(program: Program, preset: str | Preset = "z7020") -> Compiled:
    """Refuses a layer that does not fit with its name, the limit, and the smallest preset that takes it."""
    target = named_preset(preset) if isinstance(preset, str) else preset
    lowered = lower(program, target)
    cuts = _cut(program, lowered, target)
    turns = take_turns(cuts, target)
    keep(lowered.buffers, turns, target)
    weights_end = -(-sum(each.weight_bytes for each in cuts) // ALIGNMENT) * ALIGNMENT
    arena = _place(lowered.buffers, turns, target, weights_end)
    result = schedule(cuts, turns, target, weights_at=0)
    code = b"".join(instruction.encode() for instruction in result.code)
    header = {
        "program": program.name,
        "fingerprint": hashlib.sha256(code + result.weights).hexdigest(),
        "engine": target.name,
        "target_hash": target.target_hash,
        "channels": target.channels,
        "code_bytes": len(code),
        "weight_bytes": len(result.weights),
        "arena_bytes": arena,
        "input": _view(lowered.input, program.input_shape, target),
        "outputs": [
            _view(view, program.tensors[output.tensor].shape, target) | {"shape": list(output.shape)}
            for view, output in zip(lowered.outputs, program.outputs, strict=True)
        ],
        "layers": [_described(cost) for cost in result.costs],
    }
    text = json.dumps(header, sort_keys=True).encode()
    payload = code + result.weights
    body = MAGIC + len(text).to_bytes(4, "little") + text + payload
    binary = body + zlib.crc32(body).to_bytes(4, "little")
    return Compiled(target, binary, result.costs, code, arena)


def _cut(program: Program, lowered: Lowered, preset: Preset) -> list[Cut]:
    cuts = []
    for layer in lowered.layers:
        found = cut(layer, preset)
        if isinstance(found, str):
            other = _smallest(program, layer.op, preset)
            remedy = (
                f"the preset {other!r} takes it" if other else "no preset takes it: make the layer smaller"
            )
            raise ProgramError(
                f"layer {layer.name!r} does not fit the engine {preset.name!r}: {found}; {remedy}"
            )
        cuts.append(found)
    return cuts


def _smallest(program: Program, op: Op, tried: Preset) -> str | None:
    """The first preset that takes an operation, in whichever layer it has become part of."""
    for other in PRESETS.values():
        if other == tried:
            continue
        layers = [
            layer
            for layer in lower(program, other).layers
            if layer.op is op or op.name in layer.name.split(SIBLINGS)
        ]
        if all(isinstance(cut(layer, other), Cut) for layer in layers):
            return other.name
    return None


def _place(buffers: list[Buffer], turns: list[Turn], preset: Preset, start: int) -> int:
    """Give each buffer in memory its place; return the end of the arena."""
    inside = [buffer for buffer in buffers if not buffer.kept_rows]
    sizes = [-(-buffer.nbytes(preset.channels) // BOUNDARY) * BOUNDARY for buffer in inside]
    spans = [span(buffer, turns) for buffer in inside]
    offsets = place(sizes, spans, start=start)
    for buffer, offset in zip(inside, offsets, strict=True):
        buffer.offset = offset
    return max(offset + size for offset, size in zip(offsets, sizes, strict=True))


def _view(view: View, shape: tuple[int, ...], preset: Preset) -> dict:
    planes = []
    for plane in view.planes:
        size = plane.buffer.height * plane.buffer.width * preset.channels
        places = [plane.buffer.offset + index * size for index in (plane.index, *plane.high_bytes)]
        planes.append({"bytes_at": places, "channels": list(plane.channels), "zero": plane.zero})
    return {
        "tensor": list(shape),
        "height": view.height,
        "width": view.width,
        "planes": planes,
    }


def _described(cost: LayerCost) -> dict:
    return asdict(cost)
