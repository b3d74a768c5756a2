"""The drawn pictures over HTTP, as any browser shows them: on this machine alone, or with a token."""

from __future__ import annotations

import hmac
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from host.detect.faces import SinkError
from host.detect.frames import FrameEvent

__all__ = ["MjpegSink"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
BOUNDARY = "colonnade-frame"
#: A client that takes nothing for so long is left alone.
CLIENT_TIMEOUT_S = 10.0
PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Colonnade</title></head>'
    '<body style="margin:0;background:#111"><img alt="live picture with boxes" src="/stream{query}" '
    'style="max-width:100%"></body></html>'
)


class _Latest:
    """The newest frame; encoded once, when the first client wants it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._event: FrameEvent | None = None
        self._ended = False
        self._encoding = threading.Lock()
        self._encoded: tuple[int, bytes] = (-1, b"")

    def put(self, event: FrameEvent) -> None:
        with self._changed:
            self._event = event
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def after(self, index: int) -> tuple[int, bytes] | None:
        """The number and JPEG of a frame newer than `index`; None when there will be none."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or (self._event is not None and self._event.index > index)
            )
            event = self._event
        if event is None or event.index <= index:
            return None
        with self._encoding:
            if self._encoded[0] < event.index:
                self._encoded = (event.index, event.jpeg())
            return self._encoded


class MjpegSink:
    """Serves `/` (a page), `/stream` (MJPEG) and `/latest.jpg`; frames that no client takes cost nothing."""

    wants_picture = False  # drawn in the server's threads, and only for clients

    def __init__(self, *, host: str = "127.0.0.1", port: int = 8081, token: str | None = None):
        self._latest = _Latest()
        self.token = token if token or host in LOOPBACK else secrets.token_urlsafe(16)
        handler = type("Handler", (_Handler,), {"latest": self._latest, "token": self.token or ""})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise SinkError(
                f"nothing can be served at {host}:{port}: {error.strerror}; choose another port"
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/" + (f"?token={self.token}" if self.token else "")

    def take(self, event: FrameEvent) -> None:
        self._latest.put(event)

    def close(self) -> list[str]:
        self._latest.end()
        self._server.shutdown()
        self._server.server_close()
        return []


class _Handler(BaseHTTPRequestHandler):
    latest: _Latest
    token: str
    timeout = CLIENT_TIMEOUT_S

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if not self._may(asked.query):
            self.send_error(HTTPStatus.FORBIDDEN, "the token of this server is missing or wrong")
            return
        handlers = {"/": self._page, "/stream": self._stream, "/latest.jpg": self._picture}
        if asked.path not in handlers:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            handlers[asked.path](asked.query)
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # the client has gone

    def _may(self, query: str) -> bool:
        if not self.token:
            return True
        given = parse_qs(query).get("token", [""])[0]
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        wanted = self.token.encode()
        return any(hmac.compare_digest(one.encode(), wanted) for one in (given, bearer))

    def _page(self, query: str) -> None:
        token = parse_qs(query).get("token", [""])[0]  # the right one, or none is needed
        self._answer("text/html; charset=utf-8", PAGE.format(query=f"?token={token}" if self.token else ""))

    def _picture(self, _query: str) -> None:
        newest = self.latest.after(-1)
        if newest is None:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "there was no frame")
            return
        self._answer("image/jpeg", newest[1])

    def _answer(self, kind: str, content: str | bytes) -> None:
        body = content.encode() if isinstance(content, str) else content
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, _query: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.close_connection = True
        index = -1
        while (newest := self.latest.after(index)) is not None:
            index, picture = newest
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            self.wfile.write(head.encode() + picture + b"\r\n")

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: requests are no news."""
