"""A headless Chromium, driven by its DevTools protocol over a pipe.

The protocol is JSON, one message after another with a NUL between, on descriptors 3 and 4 of the browser. That is all
that is needed here, so there is no driver program and no library that brings a browser of its own. The browser can
reach this machine only, and remembers what a page complained of and whom it asked.
"""

import base64
import itertools
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.running.waiting import until

ANSWER_SECONDS = 30.0
"""How long the browser may take to answer on a busy machine."""
PROGRAM = "chromium"

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root, where there is none; it shows our own pages only
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--lang=en",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)
_VIOLATIONS = (
    "addEventListener('securitypolicyviolation', (e) => (window.violations ||= []).push(e.effectiveDirective))"
)
"""Remembers in each page what its content security policy refused."""


class Browser:
    """A running browser; :func:`browser` starts one."""

    def __init__(self, profile: Path) -> None:
        """``profile`` is a directory for what it writes."""
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        argv = [PROGRAM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{commands} 4>&{answers}', "bash", *argv],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._results: dict[int, dict[str, Any]] = {}
        self._events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def open(self, url: str, *, width: int = 1200, height: int = 800, dark: bool = False) -> "Page":
        """A new page that shows ``url``, in a window of that size (CSS pixels)."""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        page = Page(self, self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Network", "Log", "Runtime"):
            page.command(f"{domain}.enable")
        page.command("Page.addScriptToEvaluateOnNewDocument", source=_VIOLATIONS)
        page.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.command("Emulation.setEmulatedMedia", features=[scheme])
        page.command("Page.navigate", url=url)
        return page

    def command(self, method: str, session: str | None = None, **parameters: object) -> dict[str, Any]:
        """Have the browser do something; its answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        with self._changed:
            came = self._changed.wait_for(lambda: number in self._results, ANSWER_SECONDS)
            assert came, f"the browser did not answer {method}"
            answer = self._results.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def events(self, session: str) -> list[dict[str, Any]]:
        """What was told of a page so far."""
        with self._changed:
            return [event for event in self._events if event.get("sessionId") == session]

    def close(self) -> None:
        """End it."""
        os.write(self._commands, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        try:
            self._process.wait(ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(ANSWER_SECONDS)
        os.close(self._commands)

    def _read(self) -> None:
        with open(self._answers, "rb") as stream:
            rest = b""
            while chunk := stream.read1(1 << 16):
                *messages, rest = (rest + chunk).split(b"\0")
                for message in map(json.loads, messages):
                    with self._changed:
                        if "id" in message:
                            self._results[message["id"]] = message
                        else:
                            self._events.append(message)
                        self._changed.notify_all()


class Page:
    """A page that is open."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def command(self, method: str, **parameters: object) -> dict[str, Any]:
        """As :meth:`Browser.command`, for this page."""
        return self._browser.command(method, self._session, **parameters)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str, *, seconds: float = ANSWER_SECONDS) -> Any:
        """The first true value of a JavaScript expression."""
        return until(lambda: self.evaluate(expression), expression, seconds=seconds)

    def text(self, selector: str) -> str:
        """The text of an element, as it is shown."""
        found: str = self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return found

    def screenshot(self) -> bytes:
        """What the window shows, as PNG."""
        return base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """Close it."""
        self.command("Page.close")

    @property
    def complaints(self) -> list[str]:
        """What is on the console, exceptions, and what the content security policy refused."""
        told = [_complaint(event["method"], event["params"]) for event in self._browser.events(self._session)]
        return [line for line in told if line] + (self.evaluate("window.violations || []") or [])

    @property
    def hosts(self) -> set[str]:
        """Whom the page has asked for anything, as host and port."""
        events = self._browser.events(self._session)
        urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return {urlsplit(url).netloc for url in urls if not url.startswith("data:")}


def _complaint(method: str, parameters: dict[str, Any]) -> str:
    match method:
        case "Log.entryAdded":
            return str(parameters["entry"]["text"])
        case "Runtime.consoleAPICalled":
            return str(parameters["args"])
        case "Runtime.exceptionThrown":
            return str(parameters["exceptionDetails"])
        case _:
            return ""


@contextmanager
def browser(place: Path) -> Iterator[Browser]:
    """A browser for the time of a ``with`` block; what it writes goes below ``place``, and is removed."""
    profile = place / "chromium"
    running = Browser(profile)
    try:
        yield running
    finally:
        running.close()
        shutil.rmtree(profile, ignore_errors=True)
