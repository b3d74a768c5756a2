import numpy as np
import pytest


@pytest.fixture
def pins(board, driver):
    return board.pins


def test_a_played_input_is_seen_cycle_by_cycle(board, pins, driver):
    pins.record("pulse")
    pins.record("level")
    start = board.cycles + 20
    end = pins.play("pulse", [(1, 3), (0, 2), (1, 1), (0, 1)], start=start)
    assert end == start + 7
    assert pins.is_playing("pulse")
    board.run(40)
    assert not pins.is_playing("pulse")
    assert pins.changes("pulse")[1:] == [(start, 1), (start + 3, 0), (start + 5, 1), (start + 6, 0)]
    # Each rising edge is counted one register later.
    assert [(cycle - start, value) for cycle, value in pins.changes("level")[1:]] == [(1, 1), (6, 2)]
    assert int(driver.registers.EDGES) == 2


def test_thousands_of_runs_cost_no_python(board, pins, driver):
    runs = np.tile([[1, 2], [0, 3]], (20_000, 1))
    pins.play("pulse", runs)
    board.run(100_001)
    assert int(driver.registers.EDGES) == 20_000
    assert pins.get("level") == 20_000 % 16


def test_pins_of_any_width(board, pins):
    value = 0xA_5555_6666_7777_8888_9999_0000
    pins.set("wide_in", value)
    board.run(2)
    assert pins.get("wide_out") == value
    pins.record("wide_out")
    pins.play("wide_in", [(value + 1, 4), (0, 1)])
    board.run(10)
    assert [level for _, level in pins.changes("wide_out")] == [value, value + 1, 0]


def test_the_last_value_stays_and_a_new_list_replaces_the_old(board, pins):
    pins.play("pulse", [(1, 1000), (0, 1)])
    board.run(2)
    pins.play("pulse", [(0, 1), (1, 1)])
    board.run(500)
    assert pins.get("pulse") == 1


@pytest.mark.parametrize(
    ("name", "runs", "message"),
    [
        ("nothing", [(1, 1)], "no pin 'nothing'; it has"),
        ("level", [(1, 1)], "pin 'level' is an output"),
        ("pulse", [(2, 1)], "pin 'pulse' has 1 bits, so 2 cannot be driven"),
        ("pulse", [(1, 0)], "a cycle or more"),
        ("pulse", [], "at least one pair"),
    ],
)
def test_what_cannot_be_played_is_refused(pins, name, runs, message):
    with pytest.raises(ValueError, match=message):
        pins.play(name, runs)


def test_the_past_cannot_be_played(board, pins):
    with pytest.raises(ValueError, match="cycle 1 has passed"):
        pins.play("pulse", [(1, 1)], start=1)
