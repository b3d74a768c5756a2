"""Many clients of the page in one process, for measuring: they read all they are sent and look at nothing.

`python -m host.live.clients URL COUNT` says "ready" when all are connected, and the bytes read at the end of
its input.
"""

from __future__ import annotations

import selectors
import socket
import sys
from urllib.parse import urlsplit

__all__ = ["main"]

READ_BYTES = 1 << 20
LOOK_S = 0.2


def connect(url: str) -> socket.socket:
    """A client whose stream of events has begun."""
    target = urlsplit(url)
    client = socket.create_connection((target.hostname or "", target.port or 80), timeout=30)
    client.sendall(f"GET /events HTTP/1.1\r\nHost: {target.netloc}\r\n\r\n".encode())
    if not client.recv(READ_BYTES).startswith(b"HTTP/1.1 200"):
        raise ConnectionError(f"{url} does not stream events to one more client")
    return client


def main(url: str, count: int) -> None:
    read = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            selector.register(connect(url), selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        ended = False
        while not ended:
            for key, _ in selector.select(LOOK_S):
                if key.fileobj is sys.stdin:
                    ended = True
                elif isinstance(key.fileobj, socket.socket):
                    read += len(key.fileobj.recv(READ_BYTES))
    sys.stdout.write(f"{read}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
