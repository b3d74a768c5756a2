from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from hw.tile.placing import place

lives = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda ends: (min(ends), max(ends)))
things = st.lists(st.tuples(st.integers(1, 20), lives), max_size=12)


@settings(derandomize=True, database=None)
@given(things=things, start=st.integers(0, 50))
def test_what_lives_at_the_same_time_does_not_overlap(things, start):
    sizes, spans = [size for size, _ in things], [span for _, span in things]
    offsets = place(sizes, spans, start=start)
    assert len(offsets) == len(things)
    assert all(offset >= start for offset in offsets)
    for one, other in combinations(range(len(things)), 2):
        together = spans[one][0] <= spans[other][1] and spans[other][0] <= spans[one][1]
        apart = offsets[one] + sizes[one] <= offsets[other] or offsets[other] + sizes[other] <= offsets[one]
        assert apart or not together


def test_places_are_reused_and_holes_filled():
    assert place([4, 4], [(0, 1), (2, 3)]) == [0, 0]
    assert place([4, 4], [(0, 2), (2, 3)]) == [0, 4], "a span includes both ends"
    # Between the two that live all the time, the third's place is free for the last.
    assert place([8, 6, 7, 3], [(0, 9), (0, 9), (0, 1), (5, 6)], start=100) == [100, 115, 108, 108]


def test_nothing_is_placed_nowhere():
    assert place([], []) == []
