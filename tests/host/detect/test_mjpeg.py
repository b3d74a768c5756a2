"""The live picture over HTTP, with clients of the standard library."""

import threading
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest

from host.detect.faces import SinkError
from host.detect.mjpeg import BOUNDARY, MjpegSink
from host.detect.pipeline import Pipeline


@pytest.fixture
def serving():
    opened = []

    def make(**options):
        opened.append(MjpegSink(port=0, **options))
        return opened[-1]

    yield make
    for sink in opened:
        sink.close()


def got(url, **headers):
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read()


def test_the_latest_picture_is_the_drawn_one(serving, event):
    sink = serving()
    sink.take(event(0))
    sink.take(event(5))
    kind, content = got(f"{sink.url}latest.jpg")
    assert kind == "image/jpeg"
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (48, 64, 3)
    assert np.abs(picture.astype(int) - event(5).drawn()).mean() < 8
    assert content == event(5).jpeg()


def test_the_page_shows_the_stream_and_nothing_from_elsewhere(serving):
    sink = serving()
    kind, page = got(sink.url)
    assert kind.startswith("text/html")
    assert b'src="/stream"' in page
    assert b"http" not in page
    with pytest.raises(urllib.error.HTTPError, match="404"):
        got(f"{sink.url}other")


def test_a_stream_gives_new_frames_until_the_end(numbered, brightness, classes, serving):
    sink = serving()
    parts, streaming = [], threading.Event()

    def client():
        with urllib.request.urlopen(f"{sink.url}stream", timeout=10) as answer:
            assert BOUNDARY in answer.headers["Content-Type"]
            streaming.set()
            parts.append(answer.read())  # until the sink is closed

    thread = threading.Thread(target=client)
    thread.start()
    streaming.wait(10)
    Pipeline(numbered(30, pause_s=0.01), brightness(), [sink], classes=classes).run()
    thread.join(10)
    pictures = parts[0].split(f"--{BOUNDARY}".encode())[1:]
    assert 2 < len(pictures) <= 30
    assert all(b"\r\n\r\n\xff\xd8" in one for one in pictures)


def test_a_client_that_takes_nothing_does_not_hold_the_pipeline(numbered, brightness, classes, serving):
    import socket

    sink = serving()
    with socket.create_connection(sink._server.server_address[:2]) as lazy:
        lazy.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert Pipeline(numbered(300), brightness(), [sink], classes=classes).run().frames == 300


def test_nothing_is_encoded_without_a_client(serving, event, monkeypatch):
    monkeypatch.setattr(type(event()), "jpeg", lambda self: pytest.fail("encoded"))
    sink = serving()
    for index in range(10):
        sink.take(event(index))


def test_beyond_this_machine_a_token_is_asked_for(serving, event):
    sink = serving(host="0.0.0.0")
    sink.take(event(0))
    base, token = sink.url.split("?token=")
    assert len(token) >= 16
    for url in (base, f"{base}latest.jpg", f"{base}stream", f"{base}?token=wrong"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            got(url)
    assert got(f"{base}latest.jpg?token={token}")[1] == event(0).jpeg()
    assert got(f"{base}latest.jpg", Authorization=f"Bearer {token}")[1] == event(0).jpeg()
    assert f"/stream?token={token}".encode() in got(sink.url)[1]


def test_a_port_that_is_taken_is_named(serving):
    taken = serving()
    port = taken._server.server_address[1]
    with pytest.raises(SinkError, match=rf"nothing can be served at 127\.0\.0\.1:{port}: .*another port"):
        MjpegSink(port=port)
