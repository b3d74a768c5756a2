"""Local clients, and elsewhere whoever has the token; nobody else."""

import pytest

from host.live.access import Access, is_loopback, new_token
from host.live.http import parse_request

TOKEN = "correct-horse"


def request(target: str = "/", **headers: str):
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return parse_request(f"GET {target} HTTP/1.1\r\n{''.join(lines)}\r\n".encode())


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.2.99", False),
        ("::", False),
        ("localhost.example.org", False),
    ],
)
def test_which_addresses_are_local(host, local):
    assert is_loopback(host) is local


@pytest.mark.parametrize("host", ["0.0.0.0", "pynq.local", "::"])
def test_any_other_address_needs_a_token(host):
    with pytest.raises(ValueError, match="can be reached from elsewhere: it needs a token"):
        Access(host=host, port=80, token=None)


@pytest.mark.parametrize("name", ["localhost:8090", "127.0.0.1:8090", "localhost", "[::1]:8090"])
def test_local_names_are_let_in(name):
    assert Access(host="127.0.0.1", port=8090, token=None).refusal(request(Host=name)) is None


@pytest.mark.parametrize("name", ["evil.example:8090", "127.0.0.1.evil.example", "", "[::bad"])
def test_other_names_for_the_loopback_address_are_refused(name):
    refusal = Access(host="127.0.0.1", port=8090, token=None).refusal(request(Host=name))
    assert refusal is not None
    assert refusal.status == 421


def test_without_the_token_nothing_is_shown():
    access = Access(host="0.0.0.0", port=8090, token=TOKEN)
    for asked in (
        request(Host="localhost"),
        request(Authorization="Bearer wrong"),
        request(Authorization=f"Basic {TOKEN}"),
        request(Cookie="colonnade_8090=wrong"),
        request(Cookie=f"colonnade_9999={TOKEN}"),
        request("/events"),
    ):
        refusal = access.refusal(asked)
        assert refusal is not None
        assert refusal.status == 401
        assert b"colonnade serve printed" in refusal.body
        assert TOKEN.encode() not in refusal.encoded()


@pytest.mark.parametrize("given", ["", "wrong", TOKEN[:-1], TOKEN + "x", "n%C3%B6n"])
def test_a_wrong_token_is_said_to_be_wrong(given):
    refusal = Access(host="0.0.0.0", port=1, token=TOKEN).refusal(request(f"/?x=1&token={given}"))
    assert refusal is not None
    assert refusal.status in (401, 403)


def test_the_token_moves_from_the_address_into_a_cookie():
    access = Access(host="0.0.0.0", port=8090, token=TOKEN)
    answer = access.refusal(request(f"/?token={TOKEN}"))
    assert answer is not None
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict"} <= set(attributes)
    assert access.refusal(request(Cookie=f"other=1; {cookie}")) is None


def test_programs_may_send_the_token_as_bearer():
    access = Access(host="0.0.0.0", port=8090, token=TOKEN)
    assert access.refusal(request("/state.json", Authorization=f"bearer {TOKEN}")) is None


def test_tokens_are_long_and_never_the_same():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 22  # 128 bits in base 64
