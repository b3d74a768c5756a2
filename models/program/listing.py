"""What a program is, for people: a table of its layers and a picture of its graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.program.ops import Convolution, Dense, MultiThreshold, Op, Requantise, Weighted
from models.program.program import Program

__all__ = ["Row", "draw", "rows", "totals"]


@dataclass(frozen=True)
class Row:
    """One line of the listing."""

    name: str
    kind: str
    detail: str
    shape: str
    result: str  #: integer type of what the layer makes; for Dense and Convolution the accumulator
    weight_bits: int
    macs: int
    weight_bytes: float


def rows(program: Program) -> list[Row]:
    """One row a layer, the input first."""
    source = program.tensors[program.input]
    quantiser = f"scale {program.quantiser.scale:g}, zero point {program.quantiser.zero}"
    listed = [Row(program.input, "Input", quantiser, _shape(source.shape), source.type_name, 0, 0, 0.0)]
    for op in program.ops:
        result = program.tensors[op.output]
        listed.append(
            Row(
                name=op.name,
                kind=op.kind,
                detail=_detail(op),
                shape=_shape(result.shape),
                result=result.type_name,
                weight_bits=op.weight_bits if isinstance(op, Weighted) else 0,
                macs=op.macs(result),
                weight_bytes=op.weight_bytes if isinstance(op, Weighted) else 0.0,
            )
        )
    return listed


def totals(program: Program) -> dict[str, float]:
    """Multiply-accumulates a sample, weights, and the bytes and bits that they take."""
    linear = [op for op in program.ops if isinstance(op, Weighted)]
    return {
        "macs": sum(op.macs(program.tensors[op.output]) for op in linear),
        "weights": sum(op.weights.size for op in linear),
        "weight_bits": sum(op.weights.size * op.weight_bits for op in linear),
        "weight_bytes": sum(op.weight_bytes for op in linear),
    }


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _detail(op: Op) -> str:
    if isinstance(op, Weighted):
        products = {0: "all zero", 1: "shifts"}.get(op.terms, f"{op.terms} terms")
        window = ""
        if isinstance(op, Convolution):
            window = f"{_shape(op.weights.shape[2:])}, stride {_shape(op.stride)}, groups {op.groups}, "
        return f"{window}{op.weight_bits}-bit weights, {products}{', bias' if op.bias.any() else ''}"
    if isinstance(op, MultiThreshold):
        return f"{op.thresholds.shape[1]} a channel" + (", some falling" if (op.signs < 0).any() else "")
    if isinstance(op, Requantise):
        return f"shift {op.shift.min()}..{op.shift.max()}, clip {op.minimum}..{op.maximum}"
    return ", ".join(f"{name} {value}" for name, value in op.parameters().items())


#: Colours of the picture: what computes, what rounds, what only moves.
_COLOURS = {Dense: "#9ecae1", Convolution: "#9ecae1", MultiThreshold: "#fdd0a2", Requantise: "#fdd0a2"}


def draw(program: Program, path: Path) -> Path:
    """A picture of the graph, top to bottom; the edges carry integer types. Needs matplotlib."""
    from matplotlib.figure import Figure

    depth, column = _placed(program)
    rank = max(depth.values()) + 1
    figure = Figure(figsize=(4.2 * (max(column.values()) + 1), 0.85 * rank + 0.6))
    axes = figure.subplots()
    axes.axis("off")
    axes.set_xlim(-0.5, max(column.values()) + 0.5)
    axes.set_ylim(-rank + 0.4, 0.6)
    for name, tensor in program.tensors.items():
        maker = next((op for op in program.ops if op.output == name), None)
        label = f"{maker.kind}  {maker.name}" if maker else f"Input  {name}"
        axes.text(
            column[name],
            -depth[name],
            f"{label[-44:]}\n{_shape(tensor.shape)}  {tensor.type_name}",
            ha="center",
            va="center",
            fontsize=8,
            bbox={"boxstyle": "round,pad=0.35", "fc": _COLOURS.get(type(maker), "#eeeeee"), "ec": "#555555"},
        )
        for source in maker.inputs if maker else ():
            # An edge past other layers goes round them on the right.
            past = depth[name] - depth[source] > 1
            side = 0.32 if past else 0.0
            bend = {"connectionstyle": "arc3,rad=-0.4"} if past else {}
            axes.annotate(
                "",
                xy=(column[name] + side, -depth[name] + (0 if past else 0.28)),
                xytext=(column[source] + side, -depth[source] - (0 if past else 0.28)),
                arrowprops={"arrowstyle": "->", "color": "#555555", **bend},
            )
    axes.set_title(f"{program.name}  {program.digest[:12]}", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    return path


def _placed(program: Program) -> tuple[dict[str, int], dict[str, int]]:
    """Row and column of each tensor: a row under all it reads, branches side by side."""
    depth, column = {program.input: 0}, {program.input: 0}
    taken: dict[int, int] = {0: 1}
    for op in program.ops:
        depth[op.output] = 1 + max(depth[name] for name in op.inputs)
        column[op.output] = taken.get(depth[op.output], 0)
        taken[depth[op.output]] = column[op.output] + 1
    return depth, column
