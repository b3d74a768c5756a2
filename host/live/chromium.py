"""A headless Chromium, driven over its own pipe: enough to open the page, look into it and photograph it."""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["Browser", "BrowserError", "find_browser", "photograph"]

VARIABLE = "COLONNADE_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")
#: Where `make test-page` puts one.
INSTALLED = Path("build") / "browser" / "chromium"
#: It opens pages of this machine alone: it needs no sandbox, and is to keep its own news to itself.
OPTIONS = (
    "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--mute-audio",
    "--hide-scrollbars", "--metrics-recording-only", "--disable-features=Translate,OptimizationHints",
)  # fmt: skip
#: The browser wants its pipe at descriptors 3 and 4, which may be taken by what is to be moved there.
LAUNCHER = """
import fcntl, os, sys
moved = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for number, at in zip(moved, (3, 4)):
    os.dup2(number, at)
os.execv(sys.argv[3], sys.argv[3:])
"""
PATIENCE_S = 30.0
#: Every system that is on the page has found something.
COMPLETE = """{
const shown = (system) => !document.querySelector(`.system.for-${system}`).hidden;
const count = (parts) => document.querySelectorAll(parts).length;
const boxes = () => /^[1-9]/.test(document.querySelector("#detections").textContent);
(!shown("can") || count("#alerts tbody tr") > 2) &&
  (!shown("detector") || (count("#lanes rect") > 0 && boxes()))
}"""


class BrowserError(RuntimeError):
    """There is no browser, or it does not do what it is told."""


def find_browser(*, root: Path = Path()) -> Path | None:
    """The one that COLONNADE_BROWSER names, that is on the PATH, or that was installed below `root`."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return Path(found)
    return root / INSTALLED if (root / INSTALLED).is_file() else None


class Browser:
    """`with Browser(program) as browser:` and one page in it.

    `requests` are the addresses of everything that the page asked for, `complaints` what it threw and what
    the browser refused.
    """

    def __init__(self, program: Path, *, options: Sequence[str] = (), patience_s: float = PATIENCE_S):
        self._program, self._options, self._patience_s = program, tuple(options), patience_s
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._number = 0
        self._session: str | None = None
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()

    def __enter__(self) -> Browser:
        self._profile = tempfile.TemporaryDirectory(prefix="colonnade-browser-", ignore_cleanup_errors=True)
        child_reads, self._to = os.pipe()
        self._from, child_writes = os.pipe()
        options = [*OPTIONS, *self._options, f"--user-data-dir={self._profile.name}", "about:blank"]
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    LAUNCHER,
                    str(child_reads),
                    str(child_writes),
                    str(self._program),
                    *options,
                ],
                pass_fds=(child_reads, child_writes),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us
            )
        finally:
            os.close(child_reads)
            os.close(child_writes)
        self._reader = threading.Thread(target=self._listen, name="browser", daemon=True)
        self._reader.start()
        try:
            target = self.ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.ask(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._to)  # it ends when its pipe does
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)
        os.close(self._from)
        self._profile.cleanup()

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol, and its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        try:
            _write_all(self._to, json.dumps(message).encode() + b"\0")
            answer = self._answers.get(timeout=self._patience_s)
        except (OSError, queue.Empty) as error:
            raise BrowserError(
                f"{self._program} does not answer {method}; is it a Chromium that starts with --headless? "
                f"({VARIABLE} names another)"
            ) from error
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def open(self, url: str) -> None:
        failure = self.ask("Page.navigate", url=url).get("errorText")
        if failure:
            raise BrowserError(f"{url} does not open: {failure}")
        self.wait_for("location.href !== 'about:blank' && document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page, awaited where it is a promise."""
        answer = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(f"in the page: {details.get('exception', {}).get('description', details)}")
        return answer["result"].get("value")

    def wait_for(self, script: str, *, timeout_s: float | None = None) -> Any:
        """The first value of an expression that is true."""
        until = time.monotonic() + (timeout_s or self._patience_s)
        while time.monotonic() < until:
            value = self.evaluate(script)
            if value:
                return value
            time.sleep(0.05)
        raise BrowserError(f"this did not become true in time: {script}")

    def appear(self, *, width: int, height: int, dark: bool = False) -> None:
        """Size of the window and the wish for a dark or light page."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self) -> bytes:
        """What is in the window, as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])

    def _listen(self) -> None:
        rest = b""
        while True:
            try:
                block = os.read(self._from, 1 << 16)
            except OSError:
                return
            if not block:
                return
            *messages, rest = (rest + block).split(b"\0")
            for message in messages:
                self._heard(json.loads(message))

    def _heard(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers.put(message)
            return
        told, method = message.get("params", {}), message.get("method")
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.complaints.append(str(details.get("exception", {}).get("description", details["text"])))
        elif method == "Log.entryAdded":
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}".strip())


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def photograph(
    url: str,
    path: Path,
    *,
    width: int = 1280,
    height: int = 1180,
    settle_s: float = 30.0,
    patience_s: float = 120.0,
) -> Path:
    """The page at an address, light, once all its parts have something to show, as a PNG file."""
    program = find_browser()
    if program is None:
        raise BrowserError(
            f"no Chromium was found: install one, name one in {VARIABLE}, or let make test-page fetch one"
        )
    with Browser(program) as browser:
        browser.appear(width=width, height=height)
        browser.open(url)
        time.sleep(settle_s)
        picture = _complete_picture(browser, patience_s)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(picture)
    partial.replace(path)
    return path


def _complete_picture(browser: Browser, patience_s: float) -> bytes:
    """A picture of a page that was complete before and after it was taken; after a while, any."""
    until = time.monotonic() + patience_s
    while True:
        before, picture = browser.evaluate(COMPLETE), browser.screenshot()
        if (before and browser.evaluate(COMPLETE)) or time.monotonic() > until:
            return picture
        time.sleep(0.1)
