"""Engines: the model's bit for bit, and the comparison of two."""

import numpy as np
import pytest

from host.detect.engines import ComparedEngine, ModelEngine
from models.detector.cost import resized
from models.detector.zoo import detector_names, load_detector
from models.program import run


@pytest.fixture(scope="module")
def detector():
    return load_detector(detector_names()[-1])


def test_the_model_engine_is_the_integer_program(detector):
    engine = ModelEngine(detector, (32, 64))
    program = resized(detector.program, (32, 64))
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 32)).astype(np.uint8)
    engine.put(pixels)
    maps, expected = engine.take(), run(program, pixels[None].astype(np.int64))
    assert [one.shape for one in maps] == [output.shape for output in engine.outputs]
    for found, wanted in zip(maps, expected, strict=True):
        assert np.array_equal(found, wanted[0])
    assert engine.profile() == []
    assert engine.facts["model"] == detector.name


class Shifted:
    """The brightness engine with one integer off in some frames."""

    def __init__(self, engine, wrong):
        self.engine, self.wrong = engine, wrong
        self.size, self.outputs, self.slots, self.facts = engine.size, engine.outputs, 2, {"board": "wrong"}
        self.put, self.close, self.profile = engine.put, engine.close, engine.profile

    def take(self):
        maps = self.engine.take()
        if self.engine.taken in self.wrong:
            maps[2][24, 1, 1] += 1
        return maps


def test_every_integer_is_compared(brightness):
    compared = ComparedEngine(Shifted(brightness(slots=2), wrong=(2, 3)), brightness(slots=2))
    assert compared.slots == 2
    assert compared.facts == {"board": "wrong", "compared with": "a fake"}
    for _ in range(2):
        compared.put(np.zeros((12, 32, 32), np.uint8))
        compared.put(np.ones((12, 32, 32), np.uint8))
        compared.take()
        compared.take()
    assert (compared.frames, compared.different) == (4, 2)
    assert compared.compared == 4 * 25 * (64 + 16 + 4)


def test_engines_of_two_sizes_cannot_be_compared(brightness):
    other = brightness()
    other.size = (32, 32)
    with pytest.raises(ValueError, match=r"sizes \(64, 64\) and \(32, 32\) cannot be compared"):
        ComparedEngine(brightness(), other)
