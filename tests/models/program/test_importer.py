"""What the importer makes of each operation, and how it refuses what it cannot map."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from models.program import ImportRefused, ProgramError, integer_logits, load, run
from models.program.compare import run_qonnx
from models.program.graph import read_graph
from models.program.ops import Dense, MultiThreshold, Requantise


@pytest.fixture
def vector(net):
    """A graph on 6 inputs that is quantised already, and the input's name."""
    graph = net((6,), seed=2)
    return graph, graph.input(bits=4)


@pytest.fixture
def feature_map(net):
    graph = net((2, 6, 6), seed=2)
    return graph, graph.input(bits=4)


def refused(graph, output, path):
    with pytest.raises(ImportRefused) as error:
        load(graph.save(path / "net.onnx", output))
    return str(error.value)


def test_operations_without_integer_equivalent_name_a_remedy(feature_map, tmp_path):
    graph, x = feature_map
    pool = graph.node("AveragePool", [x], (2, 3, 3), kernel_shape=[2, 2], strides=[2, 2])
    assert refused(graph, pool, tmp_path) == (
        "node 'AveragePool_1' (AveragePool): there is no integer equivalent; use max pooling or a strided "
        "convolution, which integers compute exactly"
    )


def test_an_unquantised_input_is_refused(net, tmp_path):
    graph = net((6,))
    message = refused(graph, graph.dense("x", 3), tmp_path)
    assert (
        "node 'MatMul_1' (MatMul): it reads the input before any quantiser; let the model begin with"
        in message
    )


def test_an_unquantised_activation_is_refused(vector, tmp_path):
    graph, x = vector
    hidden = graph.relu(graph.batch_norm(graph.dense(x, 4)))
    message = refused(graph, graph.dense(hidden, 3), tmp_path)
    assert "no quantiser has made integers; put an activation quantiser" in message


def test_unquantised_weights_are_refused(vector, tmp_path):
    graph, x = vector
    logits = graph.node("MatMul", [x, graph.constant(np.ones((6, 3)))], (3,))
    assert "its weights are not quantised constants; give the layer a weight quantiser" in refused(
        graph, logits, tmp_path
    )


@pytest.mark.parametrize("join", ["add", "concat"])
def test_branches_of_different_scale_are_refused(feature_map, tmp_path, join):
    graph, x = feature_map
    first = graph.quant(graph.conv(x, 4), scale=0.5, bits=4, signed=True)
    second = graph.quant(graph.conv(x, 4), scale=0.25, bits=4, signed=True)
    message = refused(graph, getattr(graph, join)(first, second), tmp_path)
    assert (
        "different scales, 0.5 and 0.25; put the same activation quantiser object on each branch" in message
    )


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"dilations": [2, 2]}, "dilation is not supported"),
        ({"auto_pad": "SAME_UPPER"}, "padding must be given in numbers"),
        ({"strides": [2]}, "attribute 'strides' must hold 2 integers"),
        ({"group": 3}, "in 3 groups do not fit 2 input channels"),
    ],
)
def test_convolutions_that_are_refused(feature_map, tmp_path, attributes, message):
    graph, x = feature_map
    end = graph.node("Conv", [x, graph.weights((4, 2, 3, 3))], (4, 4, 4), **attributes)
    with pytest.raises(ProgramError, match=message):
        load(graph.save(tmp_path / "net.onnx", end))


@pytest.mark.parametrize(
    ("modes", "scales"),
    [
        ({"mode": "linear"}, [1, 1, 2, 2]),
        (
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
            [1, 1, 1.5, 2],
        ),
        (
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"},
            [1, 1, 2, 2],
        ),
        ({"mode": "nearest", "coordinate_transformation_mode": "align_corners"}, [1, 1, 2, 2]),
        (
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
            [1, 2, 2, 2],
        ),
    ],
)
def test_upsampling_that_does_not_repeat_is_refused(feature_map, tmp_path, modes, scales):
    graph, x = feature_map
    end = graph.node("Resize", [x, "", graph.constant(scales)], (2, 12, 12), **modes)
    assert "only nearest-neighbour upsampling of maps by whole factors" in refused(graph, end, tmp_path)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_upsampling_from_pixel_centres_repeats_too(feature_map, tmp_path, factor):
    graph, x = feature_map
    size = 6 * factor
    modes = {"mode": "nearest", "coordinate_transformation_mode": "half_pixel"}
    sizes = graph.constant([1, 2, size, size], np.int64)
    end = graph.node("Resize", [x, "", "", sizes], (2, size, size), **modes)
    path = graph.save(tmp_path / "net.onnx", end)
    program = load(path)
    integers = np.random.default_rng(0).integers(-8, 8, (1, 2, 6, 6))
    np.testing.assert_array_equal(run_qonnx(path, integers)[0], run(program, integers)[0])


def test_an_odd_reshape_is_refused(feature_map, tmp_path):
    graph, x = feature_map
    flat = graph.node("Reshape", [x, graph.constant([2, -1], np.int64)], (36,))
    assert "target [2, -1] changes the batch; keep the batch as the first axis" in refused(
        graph, flat, tmp_path
    )


def test_scaling_after_flattening_is_refused(feature_map, tmp_path):
    graph, x = feature_map
    scaled = graph.node("Mul", [graph.flatten(x), graph.constant(np.arange(1, 73))], (72,))
    assert "was reshaped to (72,); put it before the flattening" in refused(graph, scaled, tmp_path)


def test_a_second_output_is_refused(vector, tmp_path):
    graph, x = vector
    top = graph.node("TopK", [graph.dense(x, 3), graph.constant([1], np.int64)], (1,))
    graph.nodes[-1].output.append("index")
    graph.shapes["index"] = (1,)
    assert "reads 'TopK_3_out'" in refused(graph, graph.relu(top), tmp_path)
    program = load(graph.save(tmp_path / "net.onnx", "index"))
    assert [op.kind for op in program.ops] == ["Dense", "ArgMax"]


def test_falling_channels_are_turned_round_in_the_layer_before(vector, tmp_path):
    graph, x = vector
    path = graph.save(tmp_path / "net.onnx", graph.activation(graph.batch_norm(graph.dense(x, 16))))
    node = next(node for node in read_graph(path).nodes if node.kind == "BatchNormalization")
    assert (read_graph(path).constants[node.inputs[1]] < 0).any()
    dense, thresholds = load(path).ops
    assert (thresholds.signs == 1).all()
    assert dense.weight_bits == 2


def test_falling_channels_stay_where_the_accumulator_is_read_twice(vector, tmp_path):
    graph, x = vector
    sums = graph.dense(x, 16)
    path = graph.save(tmp_path / "net.onnx", graph.activation(graph.batch_norm(sums)), sums)
    assert (load(path).ops[1].signs == -1).any()


def test_a_quantiser_that_changes_nothing_is_left_out(vector, tmp_path):
    graph, x = vector
    same = graph.quant(graph.quant(x, scale=1.0, bits=6, signed=True), scale=1.0, bits=4, signed=True)
    assert [op.kind for op in load(graph.save(tmp_path / "net.onnx", graph.dense(same, 3))).ops] == ["Dense"]


def test_styles(feature_map, tmp_path):
    graph, x = feature_map
    bias = np.array([3, -5, 0, 1]) * 0.25  # on the grid of the accumulator
    hidden = graph.activation(graph.conv(x, 4, bias=bias), bits=4, scale=2.0)
    logits = graph.activation(graph.dense(graph.flatten(hidden), 3))
    path = graph.save(tmp_path / "net.onnx", logits)

    def kinds(style):
        return [
            type(op) for op in load(path, style=style).ops if isinstance(op, (MultiThreshold, Requantise))
        ]

    assert kinds("auto") == [Requantise, MultiThreshold]
    assert kinds("thresholds") == [MultiThreshold, MultiThreshold]
    assert kinds("requantise") == [Requantise, Requantise]
    assert load(path).ops[0].bias.tolist() == [3, -5, 0, 1]
    with pytest.raises(ValueError, match=r"style must be one of .* not 'fast'"):
        load(path, style="fast")


def test_a_bias_off_the_grid_becomes_thresholds(feature_map, tmp_path):
    graph, x = feature_map
    hidden = graph.activation(graph.conv(x, 4, bias=[0.1, 0.2, 0.3, 0.4]), bits=4)
    kinds = [op.kind for op in load(graph.save(tmp_path / "net.onnx", hidden), style="requantise").ops]
    assert kinds == ["Convolution", "MultiThreshold"]


def test_a_bias_added_after_the_product_joins_it(vector, tmp_path):
    graph, x = vector
    logits = graph.node("Add", [graph.dense(x, 3), graph.constant([0.5, -0.25, 2.0])], (3,))
    program = load(graph.save(tmp_path / "net.onnx", logits))
    assert [op.kind for op in program.ops] == ["Dense"]
    assert program.ops[0].bias.tolist() == [2, -1, 8]


def test_float_scales_are_noted_and_compare_equal_as_integers(net, tmp_path):
    graph = net((6,), seed=4)
    hidden = graph.activation(graph.dense(graph.input(bits=4), 8, scale=0.3), scale=0.7)
    path = graph.save(tmp_path / "net.onnx", graph.dense(hidden, 3, scale=0.1))
    program = load(path)
    assert any("no power of two" in note for note in program.notes)
    x = np.random.default_rng(0).integers(-8, 8, (100, 6))
    np.testing.assert_array_equal(
        integer_logits(program.outputs[0], run_qonnx(path, x)[0]), run(program, x)[0]
    )


def test_qonnx_clean_up_changes_names_but_not_the_program(small_mlp):
    from qonnx.util.cleanup import cleanup

    clean = small_mlp.with_name("clean.onnx")
    cleanup(str(small_mlp), out_file=str(clean))
    assert load(clean).digest == load(small_mlp).digest
    assert load(clean).input != load(small_mlp).input


def test_dead_branches_are_left_out(vector, tmp_path):
    graph, x = vector
    graph.node("Softmax", [x], (6,))
    program = load(graph.save(tmp_path / "net.onnx", graph.dense(x, 3)))
    assert [type(op) for op in program.ops] == [Dense]


def test_our_reader_sees_what_onnx_sees(small_mlp):
    model = onnx.load(small_mlp)
    graph = read_graph(small_mlp)
    assert {tensor.name for tensor in model.graph.initializer} == set(graph.constants)
    for tensor in model.graph.initializer:
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), graph.constants[tensor.name])
    assert sorted(node.name for node in model.graph.node) == sorted(node.name for node in graph.nodes)
    for node in graph.nodes:
        theirs = next(item for item in model.graph.node if item.name == node.name)
        assert (tuple(theirs.input), tuple(theirs.output), theirs.op_type) == (
            node.inputs,
            node.outputs,
            node.kind,
        )
        for attribute in theirs.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            assert node.attributes[attribute.name] == (value.decode() if isinstance(value, bytes) else value)


@pytest.mark.parametrize(
    "kind", [np.float32, np.float64, np.int8, np.uint8, np.int16, np.int32, np.int64, np.bool_]
)
@pytest.mark.parametrize("raw", [True, False])
def test_our_reader_reads_every_kind_of_tensor(small_mlp, kind, raw):
    values = np.array([[0, 1, -1], [3, -100, 100]]).astype(kind)
    model = onnx.load(small_mlp)
    if raw:
        tensor = numpy_helper.from_array(values, "extra")
    else:
        tensor = onnx.helper.make_tensor(
            "extra", onnx.helper.np_dtype_to_tensor_dtype(values.dtype), values.shape, values.ravel()
        )
    model.graph.initializer.append(tensor)
    small_mlp.write_bytes(model.SerializeToString())
    got = read_graph(small_mlp).constants["extra"]
    np.testing.assert_array_equal(got, values)
    assert got.dtype == values.dtype


def test_a_bias_is_not_folded_into_a_product_that_is_read_twice(vector, tmp_path):
    graph, x = vector
    product = graph.dense(x, 3)
    biased = graph.node("Add", [product, graph.constant([0.5, -0.25, 2.0])], (3,))
    path = graph.save(tmp_path / "net.onnx", biased, product)
    program = load(path)
    integers = np.random.default_rng(0).integers(-8, 8, (20, 6))
    for output, floats, got in zip(
        program.outputs, run_qonnx(path, integers), run(program, integers), strict=True
    ):
        np.testing.assert_array_equal(output.dequantise(got), floats)


@pytest.mark.parametrize("zero", [1.0, 2.0])
def test_zero_points_of_activations_and_weights(vector, tmp_path, zero):
    graph, x = vector
    hidden = graph.quant(graph.dense(x, 5, bits=4), scale=0.5, bits=3, signed=False, zero=zero)
    values = graph.constant(np.random.default_rng(1).integers(-3, 3, (5, 3)) * 0.5)
    weights = graph.quant(values, scale=0.5, bits=3, signed=True, zero=zero, shape=(5, 3))
    path = graph.save(tmp_path / "net.onnx", graph.node("MatMul", [hidden, weights], (3,)), hidden)
    program = load(path)
    assert program.tensors[program.outputs[1].tensor].minimum == -zero
    integers = np.random.default_rng(0).integers(-8, 8, (200, 6))
    for output, floats, got in zip(
        program.outputs, run_qonnx(path, integers), run(program, integers), strict=True
    ):
        np.testing.assert_array_equal(output.dequantise(got), floats)
