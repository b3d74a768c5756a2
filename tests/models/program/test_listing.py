"""The listing counts what is there; the picture is a picture."""

import numpy as np

from models.program import load
from models.program.listing import draw, rows, totals


def test_rows_and_totals(net, tmp_path):
    graph = net((2, 8, 8), seed=1)
    hidden = graph.activation(graph.conv(graph.input(), 4, bits=5, powers=True), bits=4)
    path = graph.save(tmp_path / "net.onnx", graph.dense(graph.flatten(graph.pool(hidden)), 3, bits=3))
    program = load(path)
    first, convolution, rounding, pool, dense = rows(program)
    assert (first.kind, first.shape, first.result) == ("Input", "2×8×8", "int8")
    assert (convolution.shape, convolution.macs, convolution.weight_bytes) == (
        "4×8×8",
        4 * 2 * 9 * 64,
        4 * 2 * 9 * 5 / 8,
    )
    assert convolution.detail == "3×3, stride 1×1, groups 1, 5-bit weights, shifts"
    assert (rounding.kind, rounding.result, rounding.macs) == ("Requantise", "uint4", 0)
    assert pool.shape == "4×4×4"
    assert (dense.shape, dense.macs, dense.weight_bits) == ("3", 64 * 3, 3)
    accumulator = program.tensors[program.ops[0].output]
    assert convolution.result == f"int{accumulator.bits}"
    assert totals(program) == {
        "macs": 4608 + 192,
        "weights": 72 + 192,
        "weight_bits": 72 * 5 + 192 * 3,
        "weight_bytes": 45 + 72,
    }


def test_picture(net, tmp_path):
    from matplotlib.image import imread

    graph = net((2, 8, 8), seed=1)
    x = graph.quant(graph.input(), scale=2.0, bits=4, signed=True)
    y = graph.quant(graph.conv(x, 2), scale=2.0, bits=4, signed=True)
    program = load(graph.save(tmp_path / "net.onnx", graph.add(x, y)))
    image = imread(draw(program, tmp_path / "deep" / "net.png"))
    assert image.shape[0] > 300
    assert len(np.unique(image.reshape(-1, image.shape[-1]), axis=0)) > 10
