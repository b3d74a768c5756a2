"""The page in a real headless Chromium. `make test-page` fetches one where there is none."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from host.ids.records import Verdicts
from host.live.can import CanMonitor
from host.live.chromium import Browser, find_browser, photograph
from host.live.hub import Hub
from host.live.server import LiveServer
from host.live.view import LiveView
from models.can_ids.frames import Attack, Frames

ROOT = Path(__file__).parents[3]
AXE = ROOT / "build" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
PROGRAM = find_browser(root=ROOT)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is here; make test-page fetches one")
PATIENCE_S = 60.0


class Outside:
    """The browser's only way out: a proxy that lets nothing through, and notes who came."""

    def __init__(self):
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    connection.settimeout(5)
                    self.heard.append(connection.recv(4096))

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


@pytest.fixture(scope="module")
def outside():
    outside = Outside()
    yield outside
    outside.close()


@pytest.fixture
def browser(outside):
    # The loopback address is not proxied by default; everything else now is.
    way_out = f"--proxy-server=127.0.0.1:{outside.port}"
    with Browser(PROGRAM, options=[way_out], patience_s=PATIENCE_S) as browser:
        browser.appear(width=1280, height=1000)
        yield browser


@pytest.fixture(scope="module")
def url():
    """The whole program, with traffic that is under attack, and pictures."""
    command = [sys.executable, "-m", "scripts.main", "serve", "--port", "0", "--model", "ours"]
    command += [
        "--source",
        "generate:seconds=4,seed=2,attacks=dos",
        "--pictures",
        "generated",
        "--size",
        "96",
    ]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        told = ""
        while not (found := re.search(r"open (http://\S+)", told)):
            line = process.stderr.readline()
            assert line, f"serve ended: {told}"
            told += line
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


@pytest.fixture
def small():
    """The page of a bus on which nothing happens but what a test makes happen."""
    hub = Hub()
    monitor = CanMonitor((Attack.BENIGN, Attack.DOS), bus_time=time.monotonic)
    with LiveView(hub) as view, LiveServer(hub) as server:
        view.show_can(monitor, {"board": "<img src=x onerror=alert(1)> & <b>bold</b>"})
        yield monitor, view, server


def an_alert() -> Verdicts:
    frames = Frames.zeros(1)
    frames.identifier[:], frames.dlc[:], frames.timestamp[:] = 0x2B0, 2, time.monotonic()
    one = np.ones(1, np.uint8)
    return Verdicts(
        frames, one, one > 0, np.full(1, 77, np.int32), np.zeros(1, np.uint64), one.astype(np.uint32),
        np.zeros(1, bool),
    )  # fmt: skip


def text(selector: str) -> str:
    return f"document.querySelector({selector!r}).textContent"


def test_live_values_move_and_nothing_is_complained_of(browser, url, outside):
    browser.open(url)
    browser.wait_for(f"{text('#status')} === 'live'")
    for now in (text("[data-tile=alerts_of]"), "document.querySelector('#picture').src.slice(3000)"):
        first = browser.wait_for(now)
        browser.wait_for(f"{now} !== {json.dumps(first)}")
    browser.wait_for("document.querySelectorAll('#traffic rect').length > 4")
    browser.wait_for("document.querySelectorAll('#latency rect').length >= 4")
    browser.wait_for("document.querySelectorAll('#alerts tbody tr').length > 0")
    browser.wait_for("document.querySelectorAll('#lanes rect').length > 20")
    stages = browser.evaluate("[...document.querySelectorAll('#stages tbody th')].map(th => th.textContent)")
    assert stages[:4] == ["capture", "letterbox", "quantise", "engine"]
    assert browser.complaints == []
    asked = {address for address in browser.requests if not address.startswith("data:image/jpeg;base64,")}
    assert {address for address in asked if not address.startswith(url)} == set()
    assert {f"{url}{name}" for name in ("", "live.js", "live.css", "charts.js", "events")} <= asked
    assert outside.heard == []


def test_the_trap_for_requests_to_elsewhere_works(browser, url, outside):
    """A page without our policy does get out, to the proxy: so the test above can fail."""
    before = len(outside.heard)
    browser.evaluate("fetch('http://example.org/').catch(() => 'refused')")
    assert len(outside.heard) == before + 1
    outside.heard.clear()


def test_the_policy_lets_no_script_talk_to_elsewhere(browser, url, outside):
    browser.open(url)
    browser.wait_for(f"{text('#status')} === 'live'")
    assert browser.evaluate("fetch('http://example.org/').then(() => 'out', () => 'refused')") == "refused"
    assert outside.heard == []
    assert any("Content Security Policy" in complaint for complaint in browser.complaints)


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not here; make test-page fetches it")
@pytest.mark.parametrize(
    ("width", "height", "dark"), [(1280, 1000, False), (1280, 1000, True), (360, 740, False)]
)
def test_axe_finds_no_fault(browser, url, width, height, dark):
    browser.appear(width=width, height=height, dark=dark)
    browser.open(url)
    browser.wait_for("document.querySelectorAll('#alerts tbody tr').length > 0")
    browser.wait_for("document.querySelectorAll('#lanes rect').length > 20")
    browser.evaluate(AXE.read_text() + "; 0")
    found = browser.evaluate("axe.run(document, {resultTypes: ['violations']})")
    faults = [
        (fault["impact"], fault["id"], [node["target"] for node in fault["nodes"]])
        for fault in found["violations"]
    ]
    assert faults == []
    assert len(found["passes"]) > 20
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"


def test_an_alert_is_shown_and_said_once(browser, small):
    monitor, _, server = small
    browser.open(server.url)
    browser.wait_for(f"{text('#status')} === 'live'")
    assert browser.evaluate("document.querySelector('#no-alerts').hidden") is False
    monitor.take(an_alert())
    browser.wait_for(f"{text('#alerts tbody')}.includes('dos')")
    assert "2b0" in browser.evaluate(text("#alerts tbody"))
    assert browser.evaluate(text("#announcer")) == "A new burst of alerts: dos"
    assert browser.evaluate("document.querySelector('#no-alerts').hidden") is True
    for _ in range(3):
        monitor.take(an_alert())
    browser.wait_for(f"{text('#alerts tbody td.number')} === '4'")
    assert browser.evaluate(text("#announcer")) == "A new burst of alerts: dos"


def test_what_is_not_there_is_not_shown(browser, small):
    _, _, server = small
    browser.open(server.url)
    browser.wait_for(f"{text('#status')} === 'live'")
    browser.wait_for("[...document.querySelectorAll('.for-detector')].every(part => part.hidden)")
    assert "no board with power rails" not in browser.evaluate(text("#tiles"))


def test_text_of_others_is_text_and_no_markup(browser, small):
    _, view, server = small
    view.note("<script>alert(1)</script>")
    browser.open(server.url)
    browser.wait_for(f"{text('#notes')}.includes('<script>')")
    browser.wait_for(f"{text('#facts')}.includes('<b>bold</b>')")
    assert browser.evaluate("document.querySelectorAll('#facts b, #facts img, #notes script').length") == 0


def press(browser: Browser, key: str, code: int, character: str = "") -> None:
    for kind in ("keyDown", "keyUp"):
        browser.ask(
            "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code,
            **({"text": character} if kind == "keyDown" and character else {}),
        )  # fmt: skip


def test_the_keyboard_reaches_everything_and_can_pause(browser, small):
    monitor, _, server = small
    browser.open(server.url)
    browser.wait_for(f"{text('#status')} === 'live'")
    press(browser, "Tab", 9)
    assert browser.evaluate("document.activeElement.className") == "skip"
    press(browser, "Tab", 9)
    assert browser.evaluate("document.activeElement.id") == "pause"
    press(browser, "Enter", 13, "\r")
    assert browser.evaluate(text("#status")) == "paused"
    assert browser.evaluate(text("#pause")) == "Resume"
    monitor.take(an_alert())
    browser.evaluate("new Promise(done => new EventSource('events').addEventListener('state', done))")
    assert browser.evaluate(text("[data-tile=alerts]")) == "0"
    press(browser, "Enter", 13, "\r")
    browser.wait_for(f"{text('[data-tile=alerts]')} === '1'")
    assert browser.evaluate(text("#pause")) == "Pause"


def test_a_server_that_is_gone_is_said(browser):
    hub = Hub()
    with LiveServer(hub) as server, LiveView(hub):
        browser.open(server.url)
        browser.wait_for(f"{text('#status')} === 'live'")
    browser.wait_for("document.querySelector('#status').dataset.state === 'lost'")
    assert "no news from the server" in browser.evaluate(text("#status"))
    with LiveServer(hub, port=server.port), LiveView(hub):
        browser.wait_for(f"{text('#status')} === 'live'")


def test_a_photograph_is_a_png_of_the_size_that_was_asked_for(small, tmp_path, monkeypatch):
    monkeypatch.setenv("COLONNADE_BROWSER", str(PROGRAM))
    _, _, server = small
    path = photograph(
        server.url, tmp_path / "new" / "page.png", width=600, height=400, settle_s=0.5, patience_s=0.1
    )
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    assert (int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")) == (600, 400)
    assert [each.name for each in path.parent.iterdir()] == ["page.png"]
