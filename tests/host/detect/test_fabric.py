"""The tile overlay as an engine of the pipeline, on the simulated board."""

import threading

import numpy as np
import pytest

from host.detect.engines import ComparedEngine, EngineFailure, ModelEngine
from host.detect.fabric import TileEngine
from host.detect.pipeline import Pipeline
from host.detect.sources import generated_source
from host.tile import TileBinary
from hw.overlay.tile import TileOverlay
from hw.tile.compile import compile_program
from models.detector.cost import resized
from models.detector.zoo import detector_names, load_detector
from sim.board import Fault, MemoryModel

SIZE = (32, 32)


@pytest.fixture(scope="module")
def detector():
    return load_detector(detector_names()[-1])


@pytest.fixture(scope="module")
def binary(detector):
    return TileBinary.parse(compile_program(resized(detector.program, SIZE), "sim").binary)


@pytest.fixture
def board(make_board):
    return make_board(TileOverlay(preset="sim"), memory=MemoryModel(latency=40), budget_cycles=50_000_000)


@pytest.fixture
def engine(board, binary, detector):
    engine = TileEngine(binary, resized(detector.program, SIZE).outputs, profile_every=2)
    yield engine
    engine.close()


def test_frames_through_the_pipeline_are_the_integer_program_s(board, engine, detector, listed):
    free = board._board.dram.free_bytes
    compared, sink = ComparedEngine(engine, ModelEngine(detector, SIZE)), listed()
    summary = Pipeline(generated_source(count=3), compared, [sink], classes=detector.classes).run()
    assert sink.indices == [0, 1, 2]
    assert (compared.frames, compared.different) == (3, 0)
    assert compared.compared == 3 * 25 * (16 + 4 + 1)
    assert summary.slowest == "engine"
    layers = engine.profile()
    assert [layer["name"] for layer in layers] == [
        one["name"] for one in engine.tile._binary.header["layers"]
    ]
    assert all(layer["cycles"] > 0 for layer in layers)
    assert board._board.dram.free_bytes == free
    engine.tile.unload()
    assert board._board.dram.free_bytes > free


def test_an_error_of_the_bus_comes_out_in_time_and_the_engine_can_be_closed(board, engine, detector):
    arena = engine.tile._arenas[1].device_address
    board.memory = board.memory.replace(faults=(Fault(address=arena, length=1 << 20),))
    with pytest.raises(EngineFailure, match="the hardware reports"):
        Pipeline(generated_source(count=4), engine, classes=detector.classes).run()
    assert threading.active_count() < 20


def test_maps_without_a_frame_are_refused(engine):
    with pytest.raises(RuntimeError, match=r"no frame is inside; put\(\) one first"):
        engine.take()


def test_a_binary_for_another_engine_is_refused(board, binary, detector):
    other = TileBinary({**binary.header, "target_hash": "0", "engine": "zu7ev"}, binary.code, binary.weights)
    with pytest.raises(EngineFailure, match="compiled for the engine 'zu7ev'"):
        TileEngine(other, resized(detector.program, SIZE).outputs)


def test_facts_name_the_network_and_its_cost(engine, detector):
    assert "engine sim" in engine.facts["board"]
    assert detector.path.stem in engine.facts["model"]
    assert np.prod(engine.size) == 1024
