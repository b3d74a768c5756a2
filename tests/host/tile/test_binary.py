import numpy as np
import pytest

from host.tile.binary import BinaryError, TileBinary
from hw.tile.compile import compile_program
from models.program import Output, Program, Quantiser, ops


def program(*, signed: bool = True) -> Program:
    pool = ops.MaxPool(name="pool", inputs=("image",), output="pool", kernel=(1, 1), stride=(1, 1))
    return Program(
        name="small", input="image", input_shape=(11, 4, 5), quantiser=Quantiser(signed=signed), ops=(pool,),
        outputs=(Output(tensor="pool", shape=(11, 4, 5)),),
    )  # fmt: skip


@pytest.fixture
def content() -> bytes:
    return compile_program(program(), "sim").binary


def test_any_truncation_or_damage_is_refused(content):
    rng = np.random.default_rng(0)
    for length in rng.integers(0, len(content), 50):
        with pytest.raises(BinaryError, match=r"copy or compile|does not begin"):
            TileBinary.parse(content[:length])
    for place in rng.integers(8, len(content), 50):
        damaged = bytearray(content)
        damaged[place] ^= 1
        with pytest.raises(BinaryError, match="the checksum is wrong: truncated or damaged"):
            TileBinary.parse(bytes(damaged))


def test_a_map_survives_packing(content):
    binary = TileBinary.parse(content)
    arena = np.zeros(binary.arena_bytes, np.uint8)
    sample = np.random.default_rng(1).integers(-128, 128, (11, 4, 5))
    binary.write_input(arena, sample)
    assert (binary.read_view(arena, binary.header["input"]) == sample).all()


def test_an_input_of_another_shape_is_refused(content):
    binary = TileBinary.parse(content)
    with pytest.raises(ValueError, match=r"input must have shape \(11, 4, 5\), not \(11, 5, 4\)"):
        binary.write_input(np.zeros(binary.arena_bytes, np.uint8), np.zeros((11, 5, 4), np.int64))
