"""The server over real sockets, with the standard library's client and with clients that behave badly."""

import contextlib
import gc
import http.client
import json
import socket
import threading
import time

import pytest

from host.live import server as served
from host.live.hub import Hub
from host.live.server import LiveServer, ServeError, page_files

PATIENCE_S = 10.0


def until(condition):
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def hub():
    return Hub()


@pytest.fixture
def server(hub):
    with LiveServer(hub) as server:
        yield server


@pytest.fixture
def get():
    """Asks a server for a path; what was not read to its end is closed at the end of the test."""
    with contextlib.ExitStack() as opened:

        def get(server, path="/", method="GET", **headers):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
            opened.callback(connection.close)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            response = connection.getresponse()
            opened.callback(response.close)
            return response

        yield get


def read_event(response) -> dict[str, str]:
    fields = {}
    while line := response.readline().decode().rstrip("\n"):
        name, _, value = line.partition(": ")
        fields[name] = value
    return fields


@pytest.fixture
def raw():
    """A socket to a server, for a client that behaves badly."""
    with contextlib.ExitStack() as opened:

        def raw(server) -> socket.socket:
            client = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
            return opened.enter_context(client)

        yield raw


@pytest.fixture
def stuck(raw):
    """A client that asks for events and never reads."""

    def stuck(server) -> socket.socket:
        client = raw(server)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: server.clients == 1)
        return client

    return stuck


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/live.js", "text/javascript"),
        ("/charts.js", "text/javascript"),
        ("/live.css", "text/css"),
        ("/icon.svg", "image/svg+xml"),
    ],
)
def test_the_files_of_the_page_are_served(get, server, path, kind):
    answer = get(server, path)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(kind)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert len(answer.read()) == int(answer.headers["Content-Length"]) > 100


def test_the_page_names_nothing_from_elsewhere():
    for path, file in page_files().items():
        text = file.body.decode()
        for allowed in ("http://www.w3.org/2000/svg",):
            text = text.replace(allowed, "")
        assert "http://" not in text, path
        assert "https://" not in text, path
        assert "//cdn" not in text, path


def test_the_page_keeps_to_its_own_policy():
    page = page_files()["/"].body.decode()
    assert " style=" not in page
    assert " onclick=" not in page
    assert "<script>" not in page
    assert "<style>" not in page


@pytest.mark.parametrize("path", ["/nothing", "/../server.py", "/page/index.html", "/%2e%2e/hub.py", "//"])
def test_other_paths_do_not_exist(get, server, path):
    assert get(server, path).status == 404


def test_only_reading_is_possible(get, server):
    answer = get(server, method="POST")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert get(server, method="HEAD").read() == b""


def test_another_name_for_this_machine_is_refused(get, server):
    assert get(server, Host="evil.example").status == 421


def test_events_come_as_they_are_published(get, hub, server):
    hub.publish("state", '{"n":1}')
    stream = get(server, "/events")
    assert stream.headers["Content-Type"] == "text/event-stream"
    assert read_event(stream) == {"retry": "1000"}
    assert read_event(stream) == {"event": "state", "id": "1", "data": '{"n":1}'}
    hub.publish("state", '{"n":2}')
    assert read_event(stream)["data"] == '{"n":2}'
    assert server.clients == 1


def test_the_newest_state_can_be_had_alone(get, hub, server):
    assert json.loads(get(server, "/state.json").read()) is None
    hub.publish("state", '{"n":3}')
    assert json.loads(get(server, "/state.json").read()) == {"n": 3}


def test_a_client_that_goes_is_forgotten(get, hub, server):
    stream = get(server, "/events")
    read_event(stream)
    until(lambda: server.clients == 1 == hub.readers)
    stream.close()
    until(lambda: server.clients == 0 == hub.readers)


def test_a_client_that_never_reads_loses_events_and_holds_up_nobody(stuck, get, hub, server):
    """Its share of memory stays bounded: what does not fit into its socket is dropped, and counted."""
    hub.publish("state", "first")
    client = stuck(server)
    reading = get(server, "/events")
    read_event(reading)
    read_event(reading)
    block = "x" * 100_000
    for number in range(100):
        hub.publish("state", f"{number} {block}")
        assert read_event(reading)["data"].startswith(f"{number} ")
    client.close()
    until(lambda: hub.dropped > 50)


def test_a_client_that_reads_nothing_for_long_is_let_go(stuck, hub, server, monkeypatch):
    monkeypatch.setattr(served, "STALLED_S", 0.05)
    stuck(server)

    def gone() -> bool:
        hub.publish("state", "x" * 1_000_000)
        return server.clients == 0

    until(gone)


def test_too_many_clients_are_told_to_come_back(get, server, monkeypatch):
    monkeypatch.setattr(served, "CLIENTS", 1)
    first = get(server, "/events")
    read_event(first)
    answer = get(server, "/events")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "10")


def test_an_endless_head_is_refused(raw, server):
    client = raw(server)
    client.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000)
    assert client.recv(100).startswith(b"HTTP/1.1 431")


def test_a_client_that_says_nothing_is_let_go(raw, server, monkeypatch):
    monkeypatch.setattr(served, "HEAD_S", 0.05)
    client = raw(server)
    client.sendall(b"GET / HT")
    assert client.recv(100) == b""


def test_the_end_comes_with_clients_of_every_kind(stuck, raw, hub):
    with LiveServer(hub) as server:
        stuck(server)
        raw(server)  # and says nothing
        hub.publish("state", "x" * 3_000_000)
    assert not [thread for thread in threading.enumerate() if thread.name == "live page"]
    hub.publish("state", "nobody listens any more")


def test_a_token_opens_everything_and_lets_nobody_else_in(get, hub):
    with LiveServer(hub, host="0.0.0.0", token="secret") as server:
        for path in ("/", "/live.js", "/events", "/state.json", "/nothing"):
            assert get(server, path).status == 401
        welcome = get(server, "/?token=secret")
        assert (welcome.status, welcome.headers["Location"]) == (303, "/")
        cookie = welcome.headers["Set-Cookie"].partition(";")[0]
        assert get(server, "/", Cookie=cookie).status == 200
        assert get(server, "/state.json", Authorization="Bearer secret").status == 200


def test_elsewhere_a_token_is_demanded(hub):
    with pytest.raises(ValueError, match="needs a token"):
        LiveServer(hub, host="0.0.0.0")


def test_a_port_in_use_is_said_with_the_remedy(hub, server):
    with pytest.raises(ServeError, match=rf"port {server.port} is in use.*--port"):
        LiveServer(hub, port=server.port)


@pytest.mark.parametrize(
    ("host", "message"), [("192.0.2.1", "none of this machine"), ("no.invalid", "no address")]
)
def test_an_address_that_is_not_ours(hub, host, message):
    with pytest.raises(ServeError, match=message):
        LiveServer(hub, host=host, token="t")


def test_a_server_that_never_began_gives_its_port_back(hub):
    server = LiveServer(hub)
    server.close()
    with LiveServer(hub, port=server.port):
        pass


@pytest.mark.filterwarnings("error")
def test_clients_that_come_as_the_server_ends_leave_nothing_open():
    """Neither a socket nor a task: Python would say so when it finds one."""
    with contextlib.ExitStack() as opened:
        for turn in range(60):
            with LiveServer(Hub()) as server:
                address = ("127.0.0.1", server.port)
                clients = threading.Thread(target=lambda address=address: _connect(opened, address))
                clients.start()
                time.sleep(0.0005 * (turn % 4))
            clients.join()
    gc.collect()


def _connect(opened: contextlib.ExitStack, address: tuple[str, int]) -> None:
    with contextlib.suppress(OSError):
        for _ in range(3):
            opened.enter_context(socket.create_connection(address, timeout=PATIENCE_S))
