"""A short run of what `colonnade tile` does at length, and every kind of fault."""

import numpy as np
import pytest

from host.accelerator import AcceleratorError
from host.tile import TileBinary
from host.tile.binary import BinaryError
from hw.overlay.tile import TileOverlay
from hw.tile.compile import compile_program
from hw.tile.instruction import BYTES, Opcode, decode
from hw.tile.preset import preset
from hw.tile.timing import layer_cycles
from models.program import run
from sim.board import Fault, MemoryModel
from sim.campaigns.tile import TileBench
from sim.campaigns.tile_programs import random_layer, random_network
from sim.campaigns.tile_stack import stack

SIM = preset("sim")
LAYERS = ((3, 1, 10), (1, 1, 20), (3, 2, 9))


@pytest.fixture(scope="module", params=[1, 2], ids=["one port", "two ports"])
def bench(event_loop_of_pynq, request):
    with TileBench(preset=SIM.replace(ports=request.param)) as bench:
        yield bench


@pytest.fixture
def job(bench):
    """A small stack, loaded, with its sample and what must come out."""
    bench.board.memory = MemoryModel(latency=10)
    program = stack(size=13, layers=LAYERS)
    sample = np.random.default_rng(3).integers(0, 256, program.input_shape)
    binary = TileBinary.parse(compile_program(program, "sim").binary)
    bench.engine.load(binary)
    yield bench, binary, sample, run(program, sample[None])[0][0]
    bench.board.memory = MemoryModel()


def test_random_layers(bench):
    assert [bench.check_seed(seed)[1] for seed in range(5000, 5060)] == [0] * 60


def test_random_networks(bench):
    assert [bench.check_seed(seed, network=True)[1] for seed in range(6000, 6020)] == [0] * 20


def test_rows_of_fill_above_a_doubled_map_read_no_word(bench):
    program, wrong = bench.check_seed(7087, network=True)
    loads = [
        each.values
        for each in _decoded(compile_program(program, "sim").code)
        if each.opcode is Opcode.LOAD_FEATURES
    ]
    fill_alone = [values["words"] for values in loads if values["twice"] and not values["columns"]]
    assert fill_alone, "no doubled map of this network has rows of fill alone: take another"
    assert set(fill_alone) == {0}
    assert wrong == 0


def test_the_campaign_sees_a_wrong_element(bench, monkeypatch):
    monkeypatch.setattr("sim.campaigns.tile.run", lambda program, x: [a + 1 for a in run(program, x)])
    assert bench.check_seed(5000)[1] > 0


def test_profile_counts_every_beat_of_the_listing(job):
    bench, _, sample, expected = job
    assert (bench.engine.run(sample)[0] == expected).all()
    compiled = compile_program(stack(size=13, layers=LAYERS), "sim")
    rows = bench.engine.profile()
    assert [row["busy"] for row in rows] == [cost.beats for cost in compiled.costs]
    assert sum(row["read_beats"] for row in rows) * 8 == sum(cost.read_bytes for cost in compiled.costs)


def test_a_layer_of_which_no_row_is_read_is_profiled_as_nothing(job):
    bench, _, sample, _ = job
    bench.engine.run(sample)
    assert all(row["cycles"] for row in bench.engine.profile()), "what entries held before"
    compiled = compile_program(random_network(np.random.default_rng(7103)), bench.preset)
    idle = [index for index, cost in enumerate(compiled.costs) if cost.beats == 0]
    assert 1 in idle, "take another network"
    bench.load(compiled)
    bench.engine.start()
    bench.engine.finish()
    rows = bench.engine.profile()
    assert [index for index, row in enumerate(rows) if row["cycles"] == 0] == idle


@pytest.mark.parametrize("latency", [0, 40])
@pytest.mark.parametrize(("draw", "seeds"), [(random_network, range(7000, 7012)), (random_layer, range(12))])
def test_every_layer_takes_the_cycles_foreseen(bench, latency, draw, seeds):
    bench.board.memory = MemoryModel(latency=latency)
    for seed in seeds:
        compiled = compile_program(draw(np.random.default_rng(seed)), bench.preset)
        _assert_as_foreseen(bench, compiled, latency)


def test_every_layer_takes_the_cycles_foreseen_though_queues_are_full(bench):
    bench.board.memory = MemoryModel(latency=40)
    compiled = compile_program(random_network(np.random.default_rng(7055)), bench.preset)
    _assert_as_foreseen(bench, compiled, 40)
    code = _decoded(compiled.code)
    full, endless = (layer_cycles(code, engine) for engine in (SIM, SIM.replace(queue=100_000)))
    assert full != endless, "no full queue costs a cycle where a port is shared: take another network"


def _assert_as_foreseen(bench, compiled, latency):
    """With any map, for nothing that takes time depends on what is in it."""
    bench.load(compiled)
    bench.engine.start()
    bench.engine.finish()
    code, foreseen = _decoded(compiled.code), [0] * len(compiled.costs)
    ends = [each.values["index"] for each in code if each.opcode is Opcode.LAYER]
    for layer, cycles in zip(ends, layer_cycles(code, compiled.preset, latency=latency), strict=True):
        foreseen[layer] += cycles
    assert foreseen == [row["cycles"] for row in bench.engine.profile()]


def _decoded(code):
    return [decode(code[at : at + BYTES]) for at in range(0, len(code), BYTES)]


def test_instructions_come_by_the_last_port_and_all_else_by_the_first(job):
    bench, binary, sample, expected = job
    before = bench.board.statistics
    assert (bench.engine.run(sample)[0] == expected).all()
    moved = {
        port: tuple(counts[way] - before[port][way] for way in ("read_beats", "write_beats"))
        for port, counts in bench.board.statistics.items()
    }
    costs = compile_program(stack(size=13, layers=LAYERS), "sim").costs
    code = len(binary.code) // 8
    reads, writes = (sum(getattr(cost, way) for cost in costs) // 8 for way in ("read_bytes", "write_bytes"))
    assert min(code, reads, writes) > 0
    if bench.preset.ports == 1:
        assert moved == {"memory": (reads + code, writes)}
    else:
        assert moved == {"memory": (reads, writes), "memory_1": (code, 0)}


def test_two_frames_are_held(job):
    bench, _, sample, expected = job
    other = 255 - sample
    bench.engine.put(sample, frame=0)
    bench.engine.start(frame=0)
    bench.engine.put(other, frame=1)
    first = bench.engine.finish()[0]
    bench.engine.start(frame=1)
    second = bench.engine.finish()[0]
    assert (first == expected).all()
    assert (second != expected).any()


@pytest.mark.parametrize("place", [0, 5 * BYTES + 3, 9 * BYTES + 30])
def test_damaged_instructions_are_reported_and_recovered_from(job, place):
    bench, binary, sample, expected = job
    bench.engine._code[place] ^= 0x20
    bench.engine._code.flush()
    with pytest.raises(AcceleratorError) as caught:
        bench.engine.run(sample)
    assert caught.value.causes == ("instruction",)
    assert caught.value.address == place // BYTES * BYTES
    bench.engine.load(binary)
    assert (bench.engine.run(sample)[0] == expected).all()


def test_addresses_beyond_the_arena_are_reported_and_recovered_from(job):
    bench, binary, sample, expected = job
    header = binary.header | {"arena_bytes": binary.arena_bytes}
    bench.engine.put(sample)
    arena = bench.engine._arenas[0]
    bench.engine.write_word("WATCHDOG_LIMIT", 10_000)
    bench.engine.write_address("CODE", bench.engine._code.device_address)
    bench.engine.write_word("CODE_LENGTH", header["code_bytes"])
    bench.engine.write_address("ARENA", arena.device_address)
    bench.engine.write_word("ARENA_LENGTH", len(binary.weights) + 64)
    bench.engine.write_word("CONTROL", 1)
    with pytest.raises(AcceleratorError) as caught:
        bench.engine.wait(10)
    assert "range" in caught.value.causes
    bench.engine.soft_reset()
    assert (bench.engine.run(sample)[0] == expected).all()


@pytest.mark.parametrize("seed", range(6))
def test_bus_errors_are_reported_and_recovered_from(job, seed):
    bench, _, sample, expected = job
    rng = np.random.default_rng(seed)
    start = bench.engine._arenas[0].device_address
    reads = seed % 2 == 0
    place = 0 if reads else bench.engine._binary.header["outputs"][0]["planes"][0]["bytes_at"][0]
    address = start + place + 8 * int(rng.integers(0, 8))
    bench.board.memory = MemoryModel(
        latency=20, stalls=0.2, faults=(Fault(address=address, reads=reads, writes=not reads),)
    )
    with pytest.raises(AcceleratorError) as caught:
        bench.engine.run(sample)
    assert caught.value.causes == ("read" if reads else "write",)
    bench.board.memory = MemoryModel()
    assert (bench.engine.run(sample)[0] == expected).all()


@pytest.mark.parametrize("instruction", [0, 7])
def test_a_bus_error_among_the_instructions_is_reported_and_recovered_from(job, instruction):
    bench, _, sample, expected = job
    address = bench.engine._code.device_address + BYTES * instruction + 8
    bench.board.memory = MemoryModel(latency=20, stalls=0.2, faults=(Fault(address=address, writes=False),))
    with pytest.raises(AcceleratorError) as caught:
        bench.engine.run(sample)
    assert "read" in caught.value.causes
    assert caught.value.address == address
    bench.board.memory = MemoryModel()
    assert (bench.engine.run(sample)[0] == expected).all()


@pytest.mark.parametrize("cycles", [10, 300, 900, 2500])
def test_a_reset_in_mid_layer_leaves_no_trace(job, cycles):
    bench, _, sample, expected = job
    bench.board.memory = MemoryModel(latency=30, stalls=0.2)
    bench.engine.put(sample)
    bench.engine.start()
    bench.board.run(cycles)
    bench.engine.soft_reset()
    bench.engine._running = None
    assert (bench.engine.run(sample)[0] == expected).all()


def test_a_wait_that_nothing_ends_raises_the_watchdog(job):
    from hw.tile.instruction import Instruction, decode

    bench, binary, sample, expected = job
    code = bench.engine._code
    words = np.asarray(code).tobytes()
    at = next(n for n in range(0, len(words), BYTES) if words[n] == Opcode.COMPUTE)
    compute = decode(words[at : at + BYTES])
    stuck = Instruction(Opcode.COMPUTE, compute.values | {"wait_load": 1 << 20}).encode()
    code[at : at + BYTES] = np.frombuffer(stuck, np.uint8)
    code.flush()
    bench.engine.write_word("WATCHDOG_LIMIT", 5000)
    with pytest.raises(AcceleratorError) as caught:
        bench.engine.run(sample)
    assert caught.value.causes == ("watchdog",)
    bench.engine.load(binary)
    assert (bench.engine.run(sample)[0] == expected).all()


def test_a_binary_for_another_engine_is_refused(bench):
    binary = TileBinary.parse(compile_program(stack(size=13, layers=LAYERS), "z7020").binary)
    with pytest.raises(BinaryError, match=r"compiled for the engine 'z7020'.*compile it for that"):
        bench.engine.load(binary)


def test_the_overlay_describes_its_engine():
    parameters = TileOverlay(preset="sim").description.parameters
    assert parameters["ENGINE"] == "sim"


@pytest.mark.parametrize(("engine", "memories"), [("z7020", ("memory",)), ("zu7ev", ("memory", "memory_1"))])
def test_the_overlay_has_the_ports_of_its_preset(engine, memories):
    description = TileOverlay(preset=engine).description
    assert description.memories == memories
    assert description.memory_data_bits == 128
