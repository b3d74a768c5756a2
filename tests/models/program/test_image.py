"""Weight images: what they refuse, and the shape that they bear."""

import json
import struct
import zlib

import numpy as np
import pytest

from models.program import Output, Program, Quantiser
from models.program.image import HEADER_WORDS, MAGIC, bank_rows, image
from models.program.mlp import layers_of
from models.program.ops import Dense, MultiThreshold
from models.program.pipeline_shape import LayerShape, PipelineShape, WindowShape


def network(*, weight=1, bias=0, signs=(1, 1), minimum=0):
    first = Dense(
        name="first",
        inputs=("x",),
        output="a",
        weights=np.array([[1, 0, -1, weight], [0, -1, 1, 1]]),
        bias=np.array([2, -3]),
    )
    steps = MultiThreshold(
        name="steps",
        inputs=("a",),
        output="b",
        thresholds=np.array([[1, 3, 5], [-4, 0, 2]]),
        signs=np.array(signs),
        minimum=minimum,
    )
    last = Dense(
        name="last",
        inputs=("b",),
        output="c",
        weights=np.array([[1, -1], [0, 1]]),
        bias=np.array([bias, 1]),
    )
    return Program(
        name="net",
        input="x",
        input_shape=(4,),
        quantiser=Quantiser(bits=8, signed=True),
        ops=(first, steps, last),
        outputs=(Output(tensor="c", shape=(2,)),),
    )


SHAPE = PipelineShape(
    window=WindowShape(slots=2, features=2, value_bits=8, units=2, lanes=1, emit_lanes=1, levels=3),
    layers=(LayerShape(inputs=2, outputs=2, input_max=3, simd=1, pe=2, levels=0),),
)


def test_offsets_signs_and_biases_move_into_thresholds():
    hidden, last = layers_of(network(signs=(1, -1), minimum=-1))
    assert hidden.weights.tolist() == [[1, 0, -1, 1], [0, 1, -1, -1]]
    # x is the byte less 128: the sums are too large by 128 times the weights' sum, and by the bias.
    assert hidden.thresholds.tolist() == [[1 + 126, 3 + 126, 5 + 126], [-4 - 131, 0 - 131, 2 - 131]]
    assert hidden.input_max == 255
    assert last.bias.tolist() == [0 - 1 + 1, 1 - 1]


def test_an_image_is_header_rows_and_checksum():
    data = image(network(), SHAPE, model_hash=0x1122_3344_5566_7788)
    words = struct.unpack(f"<{len(data) // 4}I", data)
    assert words[:HEADER_WORDS] == (MAGIC, SHAPE.digest, 0x5566_7788, 0x1122_3344)
    assert len(words) == HEADER_WORDS + SHAPE.payload_words + 1
    assert words[-1] == zlib.crc32(data[:-4])
    # By feature, then slot with the newest first, then unit: columns 2, 3 are the newest frame.
    weights = [-1, 1, 1, 0, 1, 1, 0, -1]
    assert list(words[HEADER_WORDS : HEADER_WORDS + 8]) == [weight & 3 for weight in weights]


def test_every_bank_row_fits_its_width():
    rows = bank_rows(network(), SHAPE)
    for bank in SHAPE.banks:
        assert len(rows[bank.name]) == bank.depth
        assert all(0 <= row < 1 << bank.width for row in rows[bank.name])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="layer 'first' has weight_max 2, the pipeline was built for 1"):
        image(network(weight=2), SHAPE, model_hash=0)
    with pytest.raises(ValueError, match="layer 'last' has logits up to 1003, and the pipeline holds 15"):
        image(network(bias=1000), SHAPE, model_hash=0)
    with pytest.raises(ValueError, match="model_hash must be 64 bits, not -1"):
        image(network(), SHAPE, model_hash=-1)
    with pytest.raises(ValueError, match="program 'net' has 2 layers, the pipeline has 1"):
        image(network(), PipelineShape(layers=SHAPE.layers), model_hash=0)


def test_shapes_go_through_json_and_are_told_apart():
    again = PipelineShape.from_dict(json.loads(json.dumps(SHAPE.as_dict())))
    assert again == SHAPE
    assert again.digest == SHAPE.digest
    other = PipelineShape(
        window=WindowShape(slots=2, features=2, value_bits=8, units=2, lanes=1, emit_lanes=1, levels=3),
        layers=(LayerShape(inputs=2, outputs=2, input_max=3, simd=2, pe=2, levels=0),),
    )
    assert other.digest != SHAPE.digest


def window(**changes):
    numbers = {
        "slots": 2,
        "features": 2,
        "value_bits": 1,
        "units": 4,
        "lanes": 2,
        "emit_lanes": 1,
        "levels": 3,
    }
    return WindowShape(**(numbers | changes))


def layer(**changes):
    return LayerShape(
        **({"inputs": 4, "outputs": 4, "input_max": 3, "simd": 1, "pe": 1, "levels": 3} | changes)
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: window(lanes=3), "lanes of a WindowShape must divide units, and 3 does not divide 4"),
        (lambda: window(lanes=4), "lanes of a WindowShape must leave at least two words"),
        (lambda: window(slots=0), "slots of a WindowShape must be a positive integer, not 0"),
        (lambda: window(value_bits=8, weight_max=2), "values of 8 bits need ternary weights"),
        (lambda: layer(simd=3), "simd of a LayerShape must divide inputs, and 3 does not divide 4"),
        (lambda: layer(levels=0), "the last layer must make all of its 2 or more logits at once"),
        (lambda: PipelineShape(layers=(layer(),)), "the last one alone has no thresholds"),
        (
            lambda: PipelineShape(layers=(layer(outputs=2), layer(levels=0, pe=4))),
            "layer 1 reads 4 values up to 3, but the layer before it makes 2 up to 3",
        ),
        (
            lambda: PipelineShape(
                layers=(layer(outputs=6, pe=3), layer(inputs=6, simd=2), layer(levels=0, pe=4))
            ),
            "layer 1 takes 2 inputs at once and 3 come at once; one number must divide the other",
        ),
    ],
)
def test_impossible_shapes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
