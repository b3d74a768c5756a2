"""The tile overlay as an engine of the pipeline, on the simulated board."""

import threading

import cv2
import numpy as np
import pytest

from host.demos import detect as demo
from host.detect.engines import ComparedEngine, EngineFailure, ModelEngine
from host.detect.fabric import TileEngine
from host.detect.measuring import packing_times
from host.detect.pipeline import Pipeline
from host.detect.sources import generated_source
from host.tile import TileBinary
from hw.overlay.tile import TileOverlay
from hw.tile.compile import compile_program
from models.detector.cost import resized
from models.detector.scenes import generated_scenes
from models.detector.zoo import detector_names, load_detector
from sim.board import Fault, MemoryModel, simulated_board

SIZE = (32, 32)


@pytest.fixture(scope="module")
def detector():
    return load_detector(detector_names()[-1])


@pytest.fixture(scope="module")
def compiled(detector):
    return compile_program(resized(detector.program, SIZE), "sim").binary


@pytest.fixture
def binary(compiled):
    return TileBinary.parse(compiled)


@pytest.fixture
def file(compiled, tmp_path):
    path = tmp_path / "detector.tile"
    path.write_bytes(compiled)
    return path


@pytest.fixture(scope="module")
def board():
    """Of all tests here: to describe and to verilate an engine takes longer than any of them."""
    overlay = TileOverlay(preset="sim")
    with simulated_board(overlay, memory=MemoryModel(latency=40), budget_cycles=50_000_000) as board:
        yield board


@pytest.fixture
def engine(board, binary, detector):
    board.memory = board.memory.replace(faults=())
    engine = TileEngine(binary, resized(detector.program, SIZE).outputs, profile_every=2)
    yield engine
    engine.close()


def test_frames_through_the_pipeline_are_the_integer_program_s(board, engine, detector, listed):
    free = board._board.dram.free_bytes
    compared, sink = ComparedEngine(engine, ModelEngine(detector, SIZE)), listed()
    summary = Pipeline(generated_source(count=2), compared, [sink], classes=detector.classes).run()
    assert sink.indices == [0, 1]
    assert (compared.frames, compared.different) == (2, 0)
    assert compared.compared == 2 * 25 * (16 + 4 + 1)
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


def test_packing_is_measured_without_a_board(binary):
    spent = packing_times(binary, count=3)
    assert set(spent) == {"pack", "unpack"}
    assert all(len(values) == 3 and (values > 0).all() for values in spent.values())


def test_facts_name_the_network_and_its_cost(engine, detector):
    assert "engine sim" in engine.facts["board"]
    assert detector.path.stem in engine.facts["model"]
    assert np.prod(engine.size) == 1024


def test_the_demo_says_that_everything_is_equal_and_draws_a_sheet(board, file, monkeypatch, tmp_path, capsys):
    board.memory = board.memory.replace(faults=())
    pictures = generated_scenes(6, seed=3)
    monkeypatch.setattr(demo, "test_pictures", lambda _: (pictures, ""))
    for name, value in (("ENGINE_PICTURES", 1), ("PICTURES", 6), ("SIDE", 64)):
        monkeypatch.setattr(demo, name, value)
    demo.main(file, tmp_path)
    said = capsys.readouterr().out
    assert "1 pictures at 32x32: 525 integers and" in said
    assert "all equal to the integer program's" in said
    assert cv2.imread(str(tmp_path / "detect_demo.jpg")).shape == (2 * demo.TILE, 5 * demo.TILE, 3)
    assert (tmp_path / "detect_timeline.svg").read_text().startswith("<svg")


def test_the_demo_ends_where_anything_differs(board, file, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "ENGINE_PICTURES", 1)
    take = TileEngine.take

    def wrong(self):
        maps = take(self)
        maps[1][3, 0, 0] += 1
        return maps

    monkeypatch.setattr(TileEngine, "take", wrong)
    with pytest.raises(SystemExit, match="1 integers of the engine differ"):
        demo.main(file, tmp_path)
