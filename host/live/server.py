"""Serves the page and its events to many clients from one thread, and never waits for any of them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
import threading
import time
from http import HTTPStatus
from importlib import resources

from host.live.access import Access
from host.live.http import HEAD_BYTES, BadRequest, Request, Response, head_bytes, parse_request
from host.live.hub import Hub, Reader

__all__ = ["CLIENTS", "LiveServer", "ServeError", "page_files"]

#: More clients than this are told to come back later.
CLIENTS = 250
#: Time for a client to say what it wants, and to read something of what it was sent.
HEAD_S, STALLED_S = 10.0, 20.0
#: What the kernel holds for a slow client: more would only be stale when it arrives.
SEND_BYTES = 256 * 1024
#: Turns of the event loop from a connection that the kernel gives to its task, and from the task to its end.
TURNS = 4
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class ServeError(Exception):
    """The address cannot be served at; the message says why and what to do."""


def page_files() -> dict[str, Response]:
    """The files of the page by path; the page itself is also what `/` names."""
    files = {}
    for file in (resources.files("host.live") / "page").iterdir():
        kind = KINDS.get(f".{file.name.rpartition('.')[2]}")
        if kind is not None:
            files[f"/{file.name}"] = Response(status=HTTPStatus.OK, body=file.read_bytes(), kind=kind)
    return files | {"/": files["/index.html"]}


class LiveServer:
    """`with LiveServer(hub) as server:` serves at `server.url` until the body ends."""

    def __init__(self, hub: Hub, *, host: str = "127.0.0.1", port: int = 0, token: str | None = None):
        self._hub = hub
        self._pages = page_files()
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        try:
            self._access = Access(host=host, port=self.port, token=token)
        except ValueError:
            self._socket.close()
            raise
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}/"
        self._clients: set[_Client] = set()
        self._connections: set[asyncio.Task] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="live page", daemon=True)

    def __enter__(self) -> LiveServer:
        self._hub.listen(self._wake)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the address back, whether it was served at or not; may be called again."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        elif not self._loop.is_closed():
            self._loop.close()
            self._socket.close()

    @property
    def clients(self) -> int:
        """That read events now."""
        return len(self._clients)

    def _wake(self) -> None:
        """In the publisher's thread: all it costs the publisher."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the end has come
            self._loop.call_soon_threadsafe(self._pump)

    def _pump(self) -> None:
        now = time.monotonic()
        for client in list(self._clients):
            client.pump(now)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(
            self._accept, sock=self._socket, limit=HEAD_BYTES, backlog=CLIENTS
        )
        await self._stop.wait()
        # A connection that was just taken would find the server closed, and be left open.
        self._loop.remove_reader(self._socket)
        await _turns()
        server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await _turns()  # lets the transports close their sockets

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._connection(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: writer.close())  # also of a task that was ended before it began

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError, asyncio.TimeoutError):
            await self._answer(reader, writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_S)
            request = parse_request(head)
        except asyncio.IncompleteReadError:
            return
        except asyncio.LimitOverrunError:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            writer.write(Response.text(status, f"a request has at most {HEAD_BYTES} bytes").encoded())
            return
        except BadRequest as error:
            writer.write(Response.text(error.status, str(error), Allow="GET, HEAD").encoded())
            return
        answer = self._access.refusal(request) or self._response(request)
        if answer is not None:
            writer.write(answer.encoded(with_body=request.method == "GET"))
            await asyncio.wait_for(writer.drain(), STALLED_S)
            return
        await self._stream(reader, writer)

    def _response(self, request: Request) -> Response | None:
        """The answer, unless it is the stream of events."""
        if request.path in self._pages:
            return self._pages[request.path]
        if request.path == "/state.json":
            return self._state()
        if request.path != "/events":
            return Response.text(HTTPStatus.NOT_FOUND, "there is nothing here; the page is at /")
        if request.method == "HEAD":
            return Response(status=HTTPStatus.OK, body=b"", kind="text/event-stream")
        if len(self._clients) >= CLIENTS:
            text = f"{CLIENTS} clients read along already"
            return Response.text(HTTPStatus.SERVICE_UNAVAILABLE, text, Retry_After="10")
        return None

    def _state(self) -> Response:
        """The newest state on its own, for programs."""
        lines = self._hub.newest("state").decode().splitlines()
        text = "\n".join(line[6:] for line in lines if line.startswith("data: "))
        body = (text or json.dumps(None)).encode()
        return Response(status=HTTPStatus.OK, body=body, kind="application/json")

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Events until the client goes; they are sent by `_pump`, here is only waited."""
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer.write(head_bytes(HTTPStatus.OK, {"Content-Type": "text/event-stream"}) + b"retry: 1000\n\n")
        client = _Client(self._hub.reader(), writer.transport)
        self._clients.add(client)
        try:
            client.pump(time.monotonic())
            while await reader.read(1024):  # nothing more is expected of it
                pass
        finally:
            self._clients.discard(client)
            client.close()


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


class _Client:
    """A stream: it is sent what is newest whenever it has read all it was sent before."""

    def __init__(self, reader: Reader, transport: asyncio.WriteTransport):
        self._reader = reader
        self._transport = transport
        self._idle_since = time.monotonic()

    def pump(self, now: float) -> None:
        if self._transport.get_write_buffer_size():
            if now - self._idle_since > STALLED_S:
                self._transport.abort()
            return
        self._idle_since = now
        blocks = self._reader.take()
        if blocks:
            self._transport.writelines(blocks)

    def close(self) -> None:
        self._reader.close()
        self._transport.abort()  # a client that does not read must not hold up the end


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=CLIENTS)
    except socket.gaierror as error:
        raise ServeError(
            f"{host!r} is no address of this machine ({error.strerror}); 127.0.0.1 always is"
        ) from error
    except OverflowError as error:
        raise ServeError(f"a port is a number from 0 to 65535, not {port!r}") from error
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: f"port {port} is in use, perhaps by another colonnade serve; end that, or give "
            "another with --port (0 takes any that is free)",
            errno.EACCES: f"port {port} needs special rights; give one above 1023 with --port",
            errno.EADDRNOTAVAIL: "the address is none of this machine; 127.0.0.1 always is",
        }
        reason = reasons.get(error.errno or 0, str(error))
        raise ServeError(f"{host}:{port} cannot be served at: {reason}") from error
