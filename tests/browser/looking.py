"""A person at the page: what they press, and what they see."""

import base64
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import attrs
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

__all__ = ["Page", "a_browser", "eventually", "forget_logs"]

_FLAGS = """
    headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking
    disable-component-update disable-sync disable-dev-shm-usage
""".split()
_WIDE = (1360, 1000)


def a_browser(profile: Path) -> Chrome:
    """Chromium without a window and without a past, which writes down what it asks for."""
    options = ChromeOptions()
    options.binary_location = _program("chromium")
    for flag in (*_FLAGS, f"user-data-dir={profile}", f"window-size={_WIDE[0]},{_WIDE[1]}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return Chrome(options, service=ChromeService(_program("chromedriver")))


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not installed"
    return found


def forget_logs(browser: Chrome) -> None:
    """Let its logs begin here."""
    for log in ("browser", "performance"):
        _log_of(browser, log)


def _log_of(browser: Any, log: str) -> list[Any]:
    entries: list[Any] = browser.get_log(log)
    return entries


def eventually(true: Callable[[], Any], within: float = 30.0) -> Any:
    """Wait until something holds; returns what it answered."""
    end = time.monotonic() + within
    while not (answer := true()):
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.05)
    return answer


@attrs.frozen
class Page:
    """One tab with the page."""

    browser: Chrome
    tab: str

    @classmethod
    def open(cls, browser: Chrome, address: str) -> Self:
        """Open the page and wait until it is live."""
        browser.get(address)
        page = cls(browser, browser.current_window_handle)
        page.comes_to("#link", "link", "live")
        return page

    def run(self, code: str, *arguments: Any) -> Any:
        """What a piece of JavaScript returns in this tab."""
        if self.browser.current_window_handle != self.tab:
            self.browser.switch_to.window(self.tab)
        return self.browser.execute_script(code, *arguments)

    def logged(self, log: str) -> list[Any]:
        """What the browser wrote into one of its logs since it was last asked."""
        return _log_of(self.browser, log)

    def text(self, selector: str) -> str:
        """The text of an element, as it is shown."""
        text = self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        return str(text).replace("\u200b", "")

    def press(self, selector: str) -> None:
        """Click where the element is, as a person does once it is in view."""
        found = self.run(
            "const found = document.querySelector(arguments[0]);"
            "found.scrollIntoView({block: 'center', behavior: 'instant'}); return found",
            selector,
        )
        found.click()

    def command(self, name: str) -> None:
        """Press a command of the chosen connection."""
        self.press(f"[data-command={name}]")

    def begin(self, alias: str) -> None:
        """Begin a connection, and wait until it is there and chosen."""
        self.run("document.querySelector('[name=alias]').value = arguments[0]", alias)
        self.press("#begin [type=submit]")
        self.shows("#life-title", alias)

    def shows(self, selector: str, text: str) -> None:
        """Wait until a text is there."""
        eventually(lambda: text in self.text(selector))

    def comes_to(self, selector: str, name: str, value: str, within: float = 30.0) -> None:
        """Wait until an element's data attribute has a value."""
        code = "return document.querySelector(arguments[0])?.dataset[arguments[1]] ?? null"
        eventually(lambda: self.run(code, selector, name) == value, within)

    def state(self) -> str:
        """The state that is lit in the diagram, in the one of the two that is shown."""
        (state,) = self.run(
            "return [...document.querySelectorAll('svg .current')]"
            ".filter((on) => on.checkVisibility()).map((on) => on.dataset.state)"
        )
        return str(state)

    def comes_to_state(self, state: str) -> None:
        """Wait until a state is lit."""
        eventually(lambda: self.state() == state)

    def log(self, *, shown: bool = False) -> list[dict[str, Any]]:
        """The rows of the log, oldest first; `shown` leaves out those that a filter hides."""
        rows = self.run(
            "return [...document.querySelectorAll('#log > li')].reverse().map((row) => ({"
            "position: Number(row.dataset.position), id: row.dataset.eventId,"
            "name: row.querySelector('.event').textContent.replaceAll('\\u200b', ''),"
            "shown: row.checkVisibility()}))"
        )
        return [row for row in rows if row["shown"] or not shown]

    def names(self, **options: Any) -> list[str]:
        """The names of the events in the log, oldest first."""
        return [row["name"] for row in self.log(**options)]

    def look_like(
        self, width: int, height: int, *, dark: bool = False, phone: bool = False
    ) -> None:
        """Be of another size or in another colour scheme."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.run("return 0")
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def photograph(self, file: Path) -> None:
        """The whole page from top to bottom, as a picture."""
        self.run("window.scrollTo(0, 0); document.activeElement.blur()")
        time.sleep(1.5)  # what moves has come to rest
        wanted = {"captureBeyondViewport": True, "format": "png"}
        shot = self.browser.execute_cdp_cmd("Page.captureScreenshot", wanted)
        file.write_bytes(base64.b64decode(shot["data"]))
