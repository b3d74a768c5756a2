"""Security events: one a class and window, no more than the limit, nothing uncounted."""

import json

import numpy as np
import pytest

from host.ids.events import EventFilter, EventRules, EventSink
from host.ids.records import VERDICT, Verdicts, unpack
from models.can_ids.frames import Attack, Frames

CLASSES = (Attack.BENIGN, Attack.DOS, Attack.FUZZING)


def alerts(rows: list[tuple[float, int, int]]) -> Verdicts:
    """(time, class, score); class 0 is no alert."""
    records = np.zeros(len(rows), VERDICT)
    frames = Frames.zeros(len(rows))
    for index, (moment, verdict, score) in enumerate(rows):
        records[index]["verdict"], records[index]["score"] = verdict, score
        records[index]["alert"] = verdict > 0
        frames.timestamp[index], frames.identifier[index] = moment, 0x100 + index
        frames.dlc[index], frames.data[index, 0] = 2, index
    return unpack(records, frames=frames)


def told(rules: EventRules, *batches: Verdicts):
    chain = EventFilter(CLASSES, rules)
    events = [event for batch in batches for event in chain.feed(batch)]
    return [*events, *chain.flush()], chain


ROWS = [
    (0.0, 1, 5),
    (0.2, 0, 0),
    (0.4, 2, 1),
    (0.9, 1, 9),
    (1.0, 1, 3),
    (1.3, 2, 8),
    (2.5, 0, 0),
    (2.6, 1, 1),
]


@pytest.mark.parametrize("cut", range(len(ROWS) + 1))
def test_alerts_of_a_class_within_a_window_are_one_event(cut):
    events, _ = told(EventRules(window_s=1.0), alerts(ROWS[:cut]), alerts(ROWS[cut:]))
    summary = sorted((event.event_id, event.first, event.last, event.count) for event in events)
    assert summary == [
        (0x8001, 0.0, 0.9, 2),
        (0x8001, 1.0, 1.0, 1),
        (0x8001, 2.6, 2.6, 1),
        (0x8002, 0.4, 1.3, 2),
    ]
    assert [event.context["score"] for event in events if event.first in (0.0, 0.4)] == [9, 8]


def test_the_context_is_the_frame_of_the_highest_score():
    (event,), _ = told(EventRules(window_s=10), alerts([(1.0, 1, 5), (1.5, 1, 9), (2.0, 1, 7)]))
    assert event.context == {
        "identifier": "101",
        "dlc": 2,
        "data": "0100",
        "timestamp": 1.5,
        "score": 9,
        "sequence": 0,
        "killed": False,
    }
    assert event.name == "CAN_DOS"


def test_what_the_limit_holds_back_is_counted_and_told_later():
    rules = EventRules(window_s=0.1, limit=2, interval_s=10.0)
    burst = [(float(moment), 1, 1) for moment in range(5)]
    events, chain = told(rules, alerts([*burst, (12.0, 1, 1)]))
    assert [(event.first, event.suppressed) for event in events] == [(0.0, 0), (1.0, 0), (12.0, 3)]
    assert chain.suppressed == {}
    assert sum(event.count + event.suppressed for event in events) == 6


def test_suppressed_at_the_end_is_told_by_the_sink(tmp_path):
    sink = EventSink(tmp_path / "e.jsonl", CLASSES, EventRules(window_s=0.1, limit=1, interval_s=100))
    sink.take(alerts([(0.0, 1, 1), (1.0, 2, 1), (2.0, 2, 1)]))
    lines = sink.close()
    assert lines[0].endswith("1 events of 1 alerts")
    assert lines[1] == "2 alerts of CAN_FUZZING held back by the rate limit and never told"
    (event,) = map(json.loads, (tmp_path / "e.jsonl").read_text().splitlines())
    assert (event["event_id"], event["count"]) == ("0x8001", 1)


def test_frames_without_time_and_clocks_that_jump_back_do_no_harm():
    events, _ = told(
        EventRules(window_s=1.0),
        alerts([(float("nan"), 1, 1), (5.0, 1, 2), (float("nan"), 1, 3), (4.0, 1, 4), (6.0, 1, 5)]),
    )
    assert [(event.first, event.last, event.count) for event in events] == [
        (0.0, 0.0, 1),
        (5.0, 5.0, 3),
        (6.0, 6.0, 1),
    ]


def test_rules_that_make_no_sense():
    with pytest.raises(ValueError, match="a limit of at least 1"):
        EventRules(limit=0)
