"""A server of the demo's page, and a browser that looks at it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.browser.looking import Page, a_browser, forget_logs
from tests.browser.serving import Server


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """The demo, served for a new file at a new port: to a browser, a place of its own.

    Its parameter, if it has one, is how long an import rests at each step.
    """
    with Server(tmp_path / "events.db", getattr(request, "param", 0.1)) as server:
        yield server


@pytest.fixture(scope="session")
def the_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """One browser for all the tests: to start it takes longer than any of them."""
    browser = a_browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.quit()


@pytest.fixture
def browser(the_browser: Chrome) -> Chrome:
    """The browser with one new tab, and nothing in its logs."""
    before = the_browser.window_handles
    the_browser.switch_to.new_window("tab")
    new = the_browser.current_window_handle
    for tab in before:
        the_browser.switch_to.window(tab)
        the_browser.close()
    the_browser.switch_to.window(new)
    forget_logs(the_browser)
    return the_browser


@pytest.fixture
def page(server: Server, browser: Chrome) -> Page:
    """The page, opened."""
    return Page.open(browser, server.address)


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where screenshots are left for a person to look at."""
    named = os.environ.get("DASHTAM_EVENTS_SCREENSHOTS")
    folder = Path(named) if named else Path(__file__).parents[2] / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
