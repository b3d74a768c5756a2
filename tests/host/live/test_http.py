"""Requests are read strictly, and every answer carries the strict headers."""

from http import HTTPStatus

import pytest

from host.live.http import BadRequest, Response, parse_request


def test_a_request_is_taken_apart():
    request = parse_request(
        b"GET /events?token=a%20b&x=1 HTTP/1.1\r\nHost: localhost:80\r\nCookie: a=1; colonnade_80=xyz\r\n\r\n"
    )
    assert (request.method, request.path) == ("GET", "/events")
    assert request.query == {"token": "a b", "x": "1"}
    assert request.headers["host"] == "localhost:80"
    assert request.cookie("colonnade_80") == "xyz"
    assert request.cookie("colonnade_8") == ""


@pytest.mark.parametrize(
    ("head", "status", "message"),
    [
        (b"POST / HTTP/1.1\r\n\r\n", 405, "GET or HEAD"),
        (b"GET http://else.where/ HTTP/1.1\r\n\r\n", 400, "no HTTP/1 request"),
        (b"GET / HTTP/2\r\n\r\n", 400, "no HTTP/1 request"),
        (b"\x16\x03\x01\x02\r\n\r\n", 400, "no HTTP/1 request"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "header line"),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, "header line"),
    ],
)
def test_what_is_no_request_is_refused(head, status, message):
    with pytest.raises(BadRequest, match=message) as refused:
        parse_request(head)
    assert refused.value.status == status


def test_every_answer_is_for_this_origin_alone():
    head = Response.text(HTTPStatus.NOT_FOUND, "no").encoded().decode()
    assert head.startswith("HTTP/1.1 404 Not Found\r\n")
    policy = next(line for line in head.split("\r\n") if line.startswith("Content-Security-Policy"))
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy.partition(":")[2]
    for header in (
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
        "Cache-Control: no-store",
    ):
        assert header in head


def test_a_head_request_gets_no_body():
    answer = Response.text(HTTPStatus.OK, "body", Retry_After="3")
    assert answer.encoded().endswith(b"\r\n\r\nbody\n")
    assert answer.encoded(with_body=False).endswith(b"\r\n\r\n")
    assert b"Retry-After: 3\r\n" in answer.encoded()
