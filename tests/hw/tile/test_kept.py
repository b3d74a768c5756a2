from itertools import pairwise

import pytest

from hw.tile.kept import KeptMaps
from hw.tile.preset import preset
from sim.stream_sweep import STALLS, StreamBench, sweep

SIM = preset("sim")


def runs(*lengths: int) -> list[dict[str, int]]:
    return [{"addr": 7 * number, "words": words} for number, words in enumerate(lengths)]


@pytest.mark.parametrize("words", [1, 2, 5])
def test_the_first_word_of_a_run_comes_after_the_latency_and_then_one_a_cycle(words):
    seen = StreamBench(KeptMaps(SIM)).run({"request": runs(words)})
    first = seen.cycles["request"][0] + KeptMaps.LATENCY_CYCLES
    assert seen.cycles["data"] == list(range(first, first + words))


def test_the_next_run_begins_two_cycles_after_the_last_word():
    seen = StreamBench(KeptMaps(SIM)).run({"request": runs(3, 1, 1, 4)})
    cycles = seen.cycles["data"]
    steps = [later - earlier for earlier, later in pairwise(cycles)]
    assert steps == [1, 1, 2, 2, 2, 1, 1, 1]


def test_a_sink_that_takes_only_after_valid_gets_every_word():
    seen = StreamBench(KeptMaps(SIM)).run({"request": runs(4, 4, 4)}, stall=STALLS["only after valid"])
    assert len(seen.items["data"]) == 12


def test_as_many_words_as_were_asked_for_under_any_gaps_and_stalls():
    def requests(length, rng):
        return {"request": runs(*(rng.randint(1, 6) for _ in range(length)))}

    def words(given):
        return {"data": [0] * sum(run["words"] for run in given["request"])}

    assert sweep(KeptMaps(SIM), items=requests, golden=words) == 125
