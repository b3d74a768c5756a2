"""Layers that read the same map in the same way become one, so that the map is loaded once for all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hw.tile.layers import Buffer, Layer, Lowered, Plane, View
from hw.tile.preset import Preset

__all__ = ["SIBLINGS", "merge_siblings"]

#: Between their names, in that of the layer that they have become.
SIBLINGS = "+"


def merge_siblings(lowered: Lowered, preset: Preset) -> None:
    """Each layer joins the first before it that it can; what reads its map learns where that lies now."""
    merged: list[Layer] = []
    for layer in list(lowered.layers):
        older = next((each for each in merged if _can_join(layer, each, lowered, preset)), None)
        if older is None:
            merged.append(layer)
            continue
        place = divmod(len(older.bias), preset.channels)
        _join(layer, older, preset)
        lowered.buffers.remove(layer.output)
        _move(lowered, layer.output, older.output, *place)
    lowered.layers[:] = merged


def _can_join(layer: Layer, older: Layer, lowered: Lowered, preset: Preset) -> bool:
    first, second = older.digits, layer.digits
    if first is None or second is None or first.shape[::2] != second.shape[::2]:
        return False
    alike = all(
        getattr(layer, name) == getattr(older, name)
        for name in ("source", "kernel", "stride", "padding", "fold", "fill", "low", "high", "windowed")
    )
    plain = not any(each.raw or each.addend for each in (layer, older))
    # Half of the weight memory, so that the weights of the layer after it can come meanwhile.
    words = _groups(layer, older, preset) * (1 + first[:, 0].size // preset.channels)
    return (
        alike and plain and 2 * words <= preset.weight_words and _leaves_lanes(layer, older, lowered, preset)
    )


def _groups(layer: Layer, older: Layer, preset: Preset) -> int:
    return -(-(len(layer.bias) + len(older.bias)) // preset.channels)


def _leaves_lanes(layer: Layer, older: Layer, lowered: Lowered, preset: Preset) -> bool:
    """Whether all channels stay in their lanes, or only the host reads them and finds them in one plane."""
    begun = len(older.bias) % preset.channels
    if begun == 0:
        return True
    read = {buffer for each in lowered.layers for buffer in each.read}
    return begun + len(layer.bias) <= preset.channels and not read & {layer.output, older.output}


def _join(layer: Layer, older: Layer, preset: Preset) -> None:
    assert older.digits is not None
    assert layer.digits is not None
    older.output.planes = _groups(layer, older, preset)
    older.digits = np.concatenate([older.digits, layer.digits], axis=1)
    older.bias = np.concatenate([older.bias, layer.bias])
    older.shift = np.concatenate([older.shift, layer.shift])
    older.macs += layer.macs
    older.name += SIBLINGS + layer.name


def _move(lowered: Lowered, old: Buffer, new: Buffer, planes: int, lanes: int) -> None:
    """Whoever reads `old` reads it in `new`, so many planes and lanes further on."""

    def moved(view: View) -> View:
        return replace(view, planes=tuple(map(plane_moved, view.planes)))

    def plane_moved(plane: Plane) -> Plane:
        if plane.buffer is not old:
            return plane
        channels = ((-1,) * lanes + plane.channels)[: len(plane.channels)]
        return replace(plane, buffer=new, index=plane.index + planes, channels=channels)

    lowered.outputs[:] = map(moved, lowered.outputs)
    for layer in lowered.layers:
        layer.source = moved(layer.source)
        if layer.addend is not None:
            layer.addend = replace(layer.addend, view=moved(layer.addend.view))
