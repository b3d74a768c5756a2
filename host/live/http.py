"""As much of HTTP/1.1 as the page needs: no bodies, one request a connection, answers with strict headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

__all__ = ["HEAD_BYTES", "BadRequest", "Request", "Response", "head_bytes", "parse_request"]

#: Requests with a longer head are refused.
HEAD_BYTES = 16 * 1024
#: Everything comes from this server: a script or picture from elsewhere would be an error, or an attack.
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class BadRequest(ValueError):
    """What came is no request that this server understands."""

    def __init__(self, status: HTTPStatus, text: str):
        self.status = status
        super().__init__(text)


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  #: names in lower case

    def cookie(self, name: str) -> str:
        for part in self.headers.get("cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""


@dataclass(frozen=True, kw_only=True)
class Response:
    status: HTTPStatus
    body: bytes
    kind: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def text(cls, status: HTTPStatus, text: str, **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status=status, body=f"{text}\n".encode(), headers=named)

    def encoded(self, *, with_body: bool = True) -> bytes:
        head = head_bytes(
            self.status,
            {"Content-Type": self.kind, "Content-Length": str(len(self.body)), **self.headers},
        )
        return head + self.body if with_body else head


def head_bytes(status: HTTPStatus, headers: Mapping[str, str]) -> bytes:
    """Status line and headers, those for security among them; the connection ends with the answer."""
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in {**headers, **SECURITY, "Connection": "close"}.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def parse_request(head: bytes) -> Request:
    """Everything up to the empty line."""
    first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or not parts[1].startswith("/"):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "this is no HTTP/1 request")
    if parts[0] not in ("GET", "HEAD"):
        raise BadRequest(HTTPStatus.METHOD_NOT_ALLOWED, "the page can be read, with GET or HEAD, and no more")
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(HTTPStatus.BAD_REQUEST, "a header line is damaged")
        headers[name.lower()] = value.strip()
    target = urlsplit(parts[1])
    return Request(method=parts[0], path=target.path, query=dict(parse_qsl(target.query)), headers=headers)
