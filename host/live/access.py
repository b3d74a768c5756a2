"""Who may see the page: programs of this machine, or from elsewhere whoever has the token."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from http import HTTPStatus
from urllib.parse import urlsplit

from host.live.http import Request, Response

__all__ = ["Access", "is_loopback", "new_token"]

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """128 bits that nobody guesses."""
    return secrets.token_urlsafe(16)


class Access:
    """Local clients on the loopback address, whoever has the token elsewhere.

    The loopback address answers to its local names alone: otherwise a page elsewhere could give its own name
    this address (DNS rebinding) and read along. A browser brings the token once, in the address, and then
    in a cookie.
    """

    def __init__(self, *, host: str, port: int, token: str | None):
        if token is None and not is_loopback(host):
            raise ValueError(f"the address {host!r} can be reached from elsewhere: it needs a token")
        self._names = {*LOOPBACK_NAMES, host}
        self._token = token
        self._cookie = f"colonnade_{port}"  # browsers send cookies to every port of a host

    def refusal(self, request: Request) -> Response | None:
        """What to answer instead of the page; None for who may see it."""
        if self._token is None:
            return None if self._named_rightly(request) else _WRONG_NAME
        if "token" in request.query:
            return self._welcome() if self._is_token(request.query["token"]) else _WRONG_TOKEN
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = bearer if scheme.lower() == "bearer" else request.cookie(self._cookie)
        return None if self._is_token(given) else _NO_TOKEN

    def _named_rightly(self, request: Request) -> bool:
        try:
            return urlsplit(f"//{request.headers.get('host', '')}").hostname in self._names
        except ValueError:
            return False

    def _is_token(self, given: str) -> bool:
        assert self._token is not None
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())

    def _welcome(self) -> Response:
        """On to the page itself, so that the token does not stay in the address and the history."""
        cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        return Response(
            status=HTTPStatus.SEE_OTHER, body=b"", headers={"Location": "/", "Set-Cookie": cookie}
        )


_WRONG_NAME = Response.text(
    HTTPStatus.MISDIRECTED_REQUEST, "this server answers to localhost and 127.0.0.1 alone"
)
_NO_TOKEN = Response.text(
    HTTPStatus.UNAUTHORIZED,
    "open the address that colonnade serve printed when it started: it ends in ?token=...",
    WWW_Authenticate="Bearer",
)
_WRONG_TOKEN = Response.text(
    HTTPStatus.FORBIDDEN,
    "this token is not, or no longer, right: colonnade serve prints a new one at every start",
)
