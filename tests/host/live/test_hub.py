"""Readers get what is newest, and what they miss is counted."""

import threading

import pytest

from host.live.hub import Hub, event_bytes


def test_an_event_is_what_eventsource_reads():
    assert event_bytes("state", 7, '{"a":1}') == b'event: state\nid: 7\ndata: {"a":1}\n\n'


def test_line_ends_in_data_cannot_end_the_event():
    event = event_bytes("state", 1, "one\r\n\r\nevent: fake\rdata: x")
    assert event.count(b"\n\n") == 1
    assert event.endswith(b"\n\n")
    lines = event.decode().split("\n")[2:-2]
    assert lines == ["data: one", "data: ", "data: event: fake", "data: data: x"]


@pytest.mark.parametrize("kind", ["", "two\nlines", "cr\rhere"])
def test_a_kind_is_one_line(kind):
    with pytest.raises(ValueError, match="the kind of an event must be one line of text"):
        event_bytes(kind, 1, "x")


def test_a_reader_gets_the_newest_of_each_kind_and_then_only_news():
    hub = Hub()
    for text in ("old", "new"):
        hub.publish("state", text)
    hub.publish("picture", "p")
    reader = hub.reader()
    assert reader.take() == [event_bytes("state", 2, "new"), event_bytes("picture", 1, "p")]
    assert reader.take() == []
    hub.publish("picture", "q")
    assert reader.take() == [event_bytes("picture", 2, "q")]


def test_what_a_slow_reader_misses_is_dropped_and_counted():
    hub = Hub()
    hub.publish("state", "0")
    slow, quick = hub.reader(), hub.reader()
    slow.take()
    for number in range(1, 11):
        hub.publish("state", str(number))
        quick.take()
    assert slow.take() == [event_bytes("state", 11, "10")]
    assert (slow.skipped, quick.skipped, hub.dropped) == (9, 0, 9)


def test_what_was_before_a_reader_came_is_not_missed_by_it():
    hub = Hub()
    for number in range(5):
        hub.publish("state", str(number))
    reader = hub.reader()
    reader.take()
    assert reader.skipped == 0


def test_readers_are_counted_and_leave_once():
    hub = Hub()
    one, _two = hub.reader(), hub.reader()
    one.close()
    one.close()
    assert hub.readers == 1


def test_listeners_hear_of_every_event():
    hub, heard = Hub(), []
    hub.listen(lambda: heard.append(hub.newest("state")))
    hub.publish("state", "x")
    assert heard == [event_bytes("state", 1, "x")]
    assert hub.newest("other") == b""


def test_many_threads_may_publish():
    hub = Hub()
    reader = hub.reader()
    hub.publish("state", "first")
    reader.take()
    threads = [
        threading.Thread(target=lambda: [hub.publish("state", "x") for _ in range(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader.take()
    assert reader.skipped == 4 * 500 - 1


def test_what_a_reader_has_not_taken_when_it_leaves_is_counted():
    hub = Hub()
    hub.publish("state", "0")
    taken, never = hub.reader(), hub.reader()
    taken.take()
    for number in range(3):
        hub.publish("state", str(number))
    taken.close()
    never.close()
    assert hub.dropped == 3
