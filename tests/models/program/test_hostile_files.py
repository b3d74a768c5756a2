"""Files that are damaged or malicious: a clear refusal, no crash, and memory in proportion to the file."""

import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper

from models.program import ImportRefused, Program, ProgramError, load

MUTATIONS = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
#: Far above what the small files need, far below what their lies would cost.
MEMORY_LIMIT = 64 << 20


def load_guarded(path):
    """A program, or None where the file was refused; anything else is a failure of the test."""
    tracemalloc.start()
    try:
        return load(path)
    except ProgramError:
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY_LIMIT


@MUTATIONS
@given(data=st.data())
def test_mutated_bytes(small_mlp, data):
    content = bytearray(small_mlp.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "set", "delete", "insert", "truncate"]))
        if kind == "flip":
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "set":
            content[at] = data.draw(st.sampled_from([0, 0x7F, 0x80, 0xFF]))
        elif kind == "delete":
            del content[at : at + data.draw(st.integers(1, 40))]
        elif kind == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=20))
        else:
            del content[at:]
        if not content:
            break
    path = small_mlp.with_name("mutated.onnx")
    path.write_bytes(content)
    assert isinstance(load_guarded(path), Program | None)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(content=st.binary(max_size=300))
def test_arbitrary_bytes(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("junk") / "junk.onnx"
    path.write_bytes(content)
    assert load_guarded(path) is None


def test_every_truncation_is_refused(small_mlp):
    content = small_mlp.read_bytes()
    path = small_mlp.with_name("short.onnx")
    # The first operator set follows the graph; before its end no cut leaves a whole model.
    first_opset = content.index(b"\x42\x04\x0a\x00\x10\x0d")
    for end in range(0, first_opset + 6):
        path.write_bytes(content[:end])
        assert load_guarded(path) is None, end


def edited(small_mlp, edit):
    """The small model with `edit(model)` done to it."""
    import onnx

    model = onnx.load(small_mlp)
    edit(model)
    path = small_mlp.with_name("edited.onnx")
    path.write_bytes(model.SerializeToString())
    return path


def node(model, kind):
    return next(node for node in model.graph.node if node.op_type == kind)


def initializer(model, name):
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def circle(model):
    first, last = node(model, "MatMul"), model.graph.node[-1]
    first.input[0] = last.output[0]


def doubled(model):
    copy = model.graph.node.add()
    copy.CopyFrom(node(model, "MatMul"))


def dangling(model):
    node(model, "Relu").input[0] = "nowhere"


def large_claim(model):
    model.graph.initializer[0].dims[:] = [1 << 40, 1 << 20]


def negative_claim(model):
    model.graph.initializer[0].dims[:] = [-1]


def strange_type(model):
    model.graph.initializer[0].data_type = TensorProto.STRING


def huge_input(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1 << 50


def open_input(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].Clear()


def second_input(model):
    model.graph.input.add().CopyFrom(model.graph.input[0])
    model.graph.input[1].name = "y"


def set_parameter(index, value):
    """Give the input quantiser another scale (1), zero point (2) or bit width (3)."""

    def edit(model):
        tensor = initializer(model, model.graph.node[0].input[index])
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(value, np.float32), tensor.name))

    return edit


def nan_weights(model):
    tensor = initializer(model, node(model, "BatchNormalization").input[1])
    tensor.CopyFrom(numpy_helper.from_array(np.full(5, np.nan, np.float32), tensor.name))


def nan_before_quant(model):
    quant = next(n for n in model.graph.node[1:] if n.op_type == "Quant")
    tensor = initializer(model, quant.input[0])
    tensor.CopyFrom(numpy_helper.from_array(np.full((6, 5), np.inf, np.float32), tensor.name))


def tiny_weight_scale(model):
    quant = next(n for n in model.graph.node[1:] if n.op_type == "Quant")
    tensor = initializer(model, quant.input[1])
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(1e-40, np.float32), tensor.name))


def many_bits(model):
    last = [n for n in model.graph.node if n.op_type == "Quant"][2]
    tensor = initializer(model, last.input[3])
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(32.0, np.float32), tensor.name))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (external, "lies in another file, which is not followed"),
        (circle, "node 'MatMul_.*' reads its own result in a circle|in a circle"),
        (doubled, "makes 'MatMul_.*_out' a second time"),
        (dangling, "node 'Relu_.*' reads 'nowhere', which nothing makes"),
        (large_claim, "has shape .* but .* elements; the file is damaged"),
        (negative_claim, "has the shape"),
        (strange_type, "has data type 8"),
        (huge_input, "all sizes but the batch must be fixed and at most"),
        (open_input, "all sizes but the batch must be fixed"),
        (second_input, r"has \['x', 'y'\]"),
        (set_parameter(1, 0.0), "node 'Quant_0' .*scale must be positive and finite"),
        (set_parameter(1, np.nan), "node 'Quant_0' .*not a finite number"),
        (set_parameter(3, 1e30), "1 to 32 bits"),
        (tiny_weight_scale, "node 'Quant_.*its numbers leave float32"),
        (set_parameter(3, 2.5), "must be one integer each"),
        (set_parameter(2, np.inf), "not a finite number"),
        (nan_weights, "node 'BatchNormalization_.*not a finite number"),
        (nan_before_quant, "node 'Quant_.*not a finite number"),
        (many_bits, "32 bits on 5 channels are more than"),
    ],
)
def test_lies(small_mlp, edit, message):
    path = edited(small_mlp, edit)
    tracemalloc.start()
    with pytest.raises(ProgramError, match=message):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < MEMORY_LIMIT
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda g, x: g.conv(x, 2, padding=1 << 40), "elements, more than"),
        (lambda g, x: g.upsample(x, 1 << 20), "elements, more than"),
        (lambda g, x: g.pool(x, kernel=9, stride=1), "kernel .* is larger than the padded input"),
        (lambda g, x: g.pool(x, kernel=1, stride=0), "must be positive"),
        (lambda g, x: g.conv(x, 2, stride=0), "must be positive"),
    ],
)
def test_absurd_shapes(net, tmp_path, build, message):
    graph = net((2, 4, 4))
    x = graph.input()
    path = graph.save(tmp_path / "absurd.onnx", build(graph, x))
    with pytest.raises(ProgramError, match=message):
        load(path)


def test_control_flow_and_unknown_operations_are_refused_by_name(small_mlp):
    def edit(model):
        node(model, "Relu").op_type = "Loop"

    with pytest.raises(
        ImportRefused, match=r"node 'Relu_\d+' \(Loop\): there is no integer equivalent; supported are"
    ):
        load(edited(small_mlp, edit))


def test_deep_nesting_is_refused_quickly(tmp_path):
    """A graph within a graph, a hundred thousand deep, in few bytes' worth of Python stack."""
    content = b""
    for _ in range(2000):
        length = len(content)
        varint = b""
        while length > 0x7F:
            varint += bytes([length & 0x7F | 0x80])
            length >>= 7
        content = b"\x3a" + varint + bytes([length]) + content
    path = tmp_path / "deep.onnx"
    path.write_bytes(content)
    started = time.process_time()
    with pytest.raises(ProgramError):
        load(path)
    assert time.process_time() - started < 5


def test_a_million_tiny_fields_are_refused(tmp_path):
    path = tmp_path / "many.onnx"
    graph = b"\x0a\x00" * 3_000_000  # empty nodes
    path.write_bytes(b"\x3a" + b"\x80\x9b\xee\x02" + graph)
    with pytest.raises(ProgramError, match="more than 400,000 fields"):
        load(path)


def test_packed_floats_stay_packed(small_mlp):
    """Four million numbers that are not raw data: read, and in proportion to the file."""

    def edit(model):
        tensor = model.graph.initializer.add(name="extra", data_type=TensorProto.FLOAT, dims=[1 << 22])
        tensor.float_data.extend(np.ones(1 << 22, np.float32))

    path = edited(small_mlp, edit)
    assert load_guarded(path) is not None


def test_importing_needs_no_onnx(small_mlp):
    """A 32-bit board has neither onnx nor torch."""
    code = (
        "import sys; sys.modules['onnx'] = sys.modules['torch'] = None\n"
        "from models.program import load, run\n"
        f"program = load({str(small_mlp)!r})\n"
        "import numpy as np\n"
        "print(run(program, np.zeros((2, 6), np.int8))[0].shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(2, 3)", done.stderr


def test_the_edits_start_from_a_file_that_is_fine(small_mlp):
    assert [op.kind for op in load(small_mlp).ops] == ["Dense", "MultiThreshold", "Dense"]
