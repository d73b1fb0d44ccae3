"""The status page in a browser, with real pairs behind it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.pages.browser import Browser, Page, browser
from tests.pages.states import HOSTILE, STATES, PageState, in_sync, problems
from tests.support.running.programs import Pair, Process

pytestmark = [pytest.mark.programs, pytest.mark.needs("chromium")]

Open = Callable[..., Page]
"""As :meth:`tests.pages.browser.Browser.open`."""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    with browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture
def show(chromium: Browser) -> Iterator[Open]:
    """Opens pages, and closes them at the end."""
    opened: list[Page] = []

    def open_page(url: str, **settings: Any) -> Page:
        opened.append(chromium.open(url, **settings))
        return opened[-1]

    yield open_page
    for page in opened:
        page.close()


def address(process: Process) -> str:
    """Where a program shows its page."""
    return f"127.0.0.1:{process.http_port}"


def wait_for_state(page: Page, state: str) -> None:
    """Return when the page tells of this state."""
    page.wait_for(f"document.body?.dataset.state === {json.dumps(state)}")


@pytest.mark.parametrize("state", STATES, ids=[state.name for state in STATES])
def test_states(pair: Pair, show: Open, state: PageState) -> None:
    """Each state is told, in words and with what to do; nothing is refused by the policy, and nobody else is asked."""
    process = state.make(pair)
    page = show(f"http://{address(process)}/")
    wait_for_state(page, state.name)
    document = json.loads(process.get("/status.json").body)
    verdict = document["verdict"]

    assert state.title in page.text("#verdict")
    assert state.title in page.evaluate("document.title")
    assert all(part in page.text("#verdict") for part in (verdict["advice"], verdict["command"]))
    assert [] == page.complaints
    assert {address(process)} == page.hosts
    assert "events" in page.text("#events")
    assert len(document["hour"]["series"]) == page.evaluate("document.querySelectorAll('#charts svg').length")


def test_problems_and_hostile_names(pair: Pair, show: Open) -> None:
    """Each problem has its path as text, whatever it looks like, and the command that says more."""
    process = problems(pair)
    page = show(f"http://{address(process)}/")
    wait_for_state(page, "problems")
    shown = page.text("#problems")

    assert "4 problems" in shown
    assert "MAX_FILE_SIZE" in shown
    assert HOSTILE[0] in shown
    assert "escape\\x1b[31m\\x0aline \\u202e.bin" in shown
    assert "dirsync-client explain films/holiday.mp4" in shown
    assert 0 == page.evaluate("document.querySelectorAll('img').length")
    assert [] == page.complaints


def test_live(pair: Pair, show: Open) -> None:
    """What changes is shown without reloading; a service that ends is told, with what is known being old."""
    client = in_sync(pair)
    page = show(f"http://{address(client)}/")
    wait_for_state(page, "in_sync")
    page.evaluate("window.loaded = 1")
    (pair.source / "something-new.txt").write_text("new")
    page.wait_for("document.getElementById('events').innerText.includes('something-new.txt')")

    assert [] == page.complaints
    client.stop()
    page.wait_for("!document.getElementById('away').hidden")

    assert "The client does not answer since" in page.text("#away")
    assert 1 == page.evaluate("window.loaded")


def test_sections_stay_while_nothing_changes(pair: Pair, show: Open) -> None:
    """An element that did not change is the same one after a refresh, so a selection in it stays."""
    client = in_sync(pair)
    page = show(f"http://{address(client)}/")
    wait_for_state(page, "in_sync")
    page.evaluate("window.kept = document.querySelector('#verdict strong'); window.before = answered")
    page.wait_for("answered > window.before + 1500")

    assert page.evaluate("window.kept === document.querySelector('#verdict strong')")


def test_hidden_pages_do_not_ask(pair: Pair, show: Open) -> None:
    """A page that nobody looks at costs nothing."""
    page = show(f"http://{address(pair.server())}/")
    wait_for_state(page, "serving")
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true}); "
        "document.dispatchEvent(new Event('visibilitychange'))"
    )

    assert page.wait_for("timer === null")


@pytest.mark.parametrize("width, dark", [(390, False), (390, True), (1200, True)])
def test_small_and_dark(pair: Pair, show: Open, width: int, dark: bool) -> None:
    """A phone shows the page without scrolling sideways, and a dark screen a dark page."""
    process = problems(pair)
    page = show(f"http://{address(process)}/", width=width, dark=dark)
    wait_for_state(page, "problems")
    red = int(page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"))

    assert width == page.evaluate("document.documentElement.scrollWidth")
    assert (red < 60) == dark
    assert [] == page.complaints


@pytest.mark.parametrize(
    "change",
    [
        "document.body.append(Object.assign(document.createElement('img'), {src: 'http://192.0.2.1/x.png'}))",
        "document.body.append(Object.assign(document.createElement('style'), {textContent: 'p {color: red}'}))",
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))",
        "fetch('http://192.0.2.1/').catch(() => 0)",
    ],
)
def test_policy_refuses(pair: Pair, show: Open, change: str) -> None:
    """What is not the page's own is refused, and these tests would see it."""
    page = show(f"http://{address(pair.server())}/")
    wait_for_state(page, "serving")
    page.evaluate(f"{change}; 0")

    assert page.wait_for("(window.violations || []).length")
    assert [] != page.complaints
    assert not page.evaluate("window.ran")


def test_without_scripts(pair: Pair, show: Open) -> None:
    """Without JavaScript the page says where its content is."""
    page = show("about:blank")
    page.command("Emulation.setScriptExecutionDisabled", value=True)
    page.command("Page.navigate", url=f"http://{address(pair.server())}/")
    shown = page.wait_for("document.body ? document.body.innerText : ''")

    assert "/status.json has all that it shows" in shown
