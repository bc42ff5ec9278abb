"""A connection's life on the page, click by click, and what the page shows of it."""

import json
import signal
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dashtam_events.connection import ProviderConnectionError
from tests.browser.looking import Page, eventually
from tests.browser.serving import Server

LIFE = (
    ("connect", "active", "ProviderConnectionSucceeded"),
    ("sync", "active", "ProviderConnectionSynced"),
    ("refresh", "active", "ProviderTokenRefreshSucceeded"),
    ("expire", "expired", "ProviderConnectionExpired"),
    ("connect", "active", "ProviderConnectionSucceeded"),
    ("revoke", "revoked", "ProviderConnectionRevoked"),
    ("disconnect", "disconnected", "ProviderDisconnectionSucceeded"),
)


def grown(page: Page, before: int, event: str) -> None:
    """Wait until the log has grown, and ends with an event."""
    eventually(lambda: len(page.log()) > before and page.names()[-1] == event)


def test_each_command_lights_the_next_state_and_adds_its_event_to_the_log(page: Page) -> None:
    page.begin("My savings")
    assert page.state() == "pending"
    for command, state, event in LIFE:
        before = len(page.log())
        page.command(command)
        grown(page, before, event)
        page.comes_to_state(state)
        page.shows("#connections [aria-pressed=true] .status", state)
    assert page.names() == [
        *("ProviderConnectionAttempted", "ProviderConnectionSucceeded", "AccountSyncAttempted"),
        *("AccountSyncSucceeded", *(event for _, _, event in LIFE[1:])),
    ]


def test_a_failed_attempt_is_a_state_of_its_own(page: Page) -> None:
    page.begin("My savings")
    page.command("fail")
    page.comes_to_state("failed")


def test_a_refused_command_shows_why_and_adds_nothing(page: Page) -> None:
    page.begin("My savings")
    page.command("sync")
    page.shows("#outcome", str(ProviderConnectionError.CANNOT_SYNC))
    page.shows("[data-step=decide]", str(ProviderConnectionError.CANNOT_SYNC))
    page.shows("[data-step=append]", "Nothing was appended")
    assert page.names() == ["ProviderConnectionAttempted"]
    assert page.state() == "pending"


def test_why_not_stands_in_the_button_before_it_is_pressed(page: Page) -> None:
    page.begin("My savings")
    assert page.text("[data-command=sync] .why") == ProviderConnectionError.CANNOT_SYNC
    assert page.text("[data-command=connect] .why") == "The bank lets the user in"
    page.command("connect")
    page.comes_to_state("active")
    assert page.text("[data-command=sync] .why") == "Accounts and balances are fetched"
    assert page.text("[data-command=connect] .why") == ProviderConnectionError.CANNOT_CONNECT
    page.command("disconnect")
    page.comes_to_state("disconnected")
    assert page.text("[data-command=disconnect] .why") == "It has ended already"


def test_what_one_does_usually_stands_out_and_the_end_does_not(page: Page) -> None:
    page.begin("My savings")
    usual = (
        "return [...document.querySelectorAll('#commands .usual')].map((on) => on.dataset.command)"
    )

    def stands(out: str) -> bool:
        return bool(page.run(usual) == ([out] if out else []))

    for command, stands_out in (("connect", "sync"), ("expire", "connect"), ("disconnect", "")):
        page.command(command)
        eventually(partial(stands, stands_out))
    last = "return document.querySelector('#commands button:last-child').dataset.command"
    assert page.run(last) == "disconnect"


def test_to_end_what_has_ended_is_fine_and_records_nothing(page: Page) -> None:
    page.begin("My savings")
    page.command("disconnect")
    page.comes_to_state("disconnected")
    page.command("disconnect")
    page.shows("#outcome", "nothing was recorded")
    assert len(page.log()) == 2


def test_a_fact_is_followed_along_its_way(page: Page) -> None:
    page.begin("My savings")
    page.command("connect")
    page.shows("[data-step=look]", "ACTIVE after 2 events")
    page.shows("[data-step=decide]", "connection.mark_connected(credentials)")
    page.shows("[data-step=record]", "ProviderConnectionSucceeded")
    page.shows("[data-step=append]", "#2 in the log")
    heard = page.text("[data-step=hear]")
    assert "audit: PROVIDER_CONNECTED" in heard
    assert "log: info provider_connection_succeeded" in heard
    assert "e-mail to the user" in heard


def test_only_what_may_happen_is_lit_and_all_of_it_can_be_pressed(page: Page) -> None:
    page.begin("My savings")
    lit = "return [...document.querySelectorAll('#commands .lit')].map((on) => on.dataset.command)"
    assert page.run(lit) == ["connect", "fail", "disconnect"]
    assert page.run("return document.querySelectorAll('#commands :disabled').length") == 0
    assert set(
        page.run(
            "return [...document.querySelectorAll('svg .edge.lit')].map((on) => on.dataset.to)"
        )
    ) == {"active", "failed", "disconnected"}


def test_the_slider_shows_how_it_stood(page: Page) -> None:
    page.begin("My savings")
    for command, state in (("connect", "active"), ("expire", "expired")):
        page.command(command)
        page.comes_to_state(state)
    move = (
        "const range = document.getElementById('version'); range.value = arguments[0];"
        "range.dispatchEvent(new Event('input'))"
    )
    for version, state in ((2, "active"), (1, "pending")):
        page.run(move, version)
        page.comes_to_state(state)
        page.shows("#past-facts", state.upper())
    page.run(move, 3)
    page.comes_to_state("expired")
    page.shows("#past-facts", "This is now")


@pytest.mark.parametrize("server", [0.5], indirect=True)
def test_an_import_fills_its_bar(page: Page) -> None:
    page.press("#import [type=submit]")
    seen: set[int] = set()

    def done() -> bool:
        bar = "return document.querySelector('#imports progress')?.value ?? -1"
        seen.add(int(page.run(bar)))
        return "done: 4 transactions" in page.text("#imports")

    eventually(done)
    assert 100 in seen
    assert seen & {25, 50, 75}
    assert page.names() == [
        *("FileImportAttempted", *["FileImportProgress"] * 4, "FileImportSucceeded")
    ]


def test_a_broken_statement_shows_its_reason(page: Page) -> None:
    page.run("document.getElementById('statement').value = 'decimal_error.ofx'")
    page.press("#import [type=submit]")
    page.shows("#imports", "refused: malformed file")
    assert page.names() == ["FileImportAttempted", "FileImportFailed"]


@pytest.mark.parametrize("server", [3.0], indirect=True)
def test_an_import_that_a_killed_server_left_is_shown_as_interrupted(
    page: Page, server: Server
) -> None:
    page.press("#import [type=submit]")
    page.shows("#imports", "of 4")
    server.end(signal.SIGKILL)
    page.comes_to("#link", "link", "reconnecting")
    server.pause = 0.1
    server.start()
    page.shows("#imports", "interrupted: the server was gone")
    page.shows("#syncs", "interrupted")
    assert page.names()[-1] == "FileImportFailed"


def test_the_history_of_syncs_is_a_view_that_keeps_up(page: Page) -> None:
    page.begin("My savings")
    page.command("connect")
    page.comes_to_state("active")
    page.command("sync")
    page.shows("#syncs tr:first-child", "3 accounts")
    assert "My savings at Schwab" in page.text("#syncs tr:first-child")
    page.run("document.getElementById('statement').value = 'decimal_error.ofx'")
    page.press("#import [type=submit]")
    page.shows("#syncs tr:first-child", "malformed file")
    page.shows("#sync-statistics", "file import: 0 of 1 succeeded")
    page.shows("#sync-statistics", "account sync: 1 of 1 succeeded")


def test_categories_are_filtered_and_come_back(page: Page) -> None:
    page.begin("My savings")
    page.command("connect")
    page.comes_to_state("active")
    page.command("sync")
    eventually(lambda: len(page.log()) == 5)
    page.press("#filters [value=provider]")
    assert page.names(shown=True) == ["AccountSyncAttempted", "AccountSyncSucceeded"]
    assert page.text("#raw") == "GET /live?categories=data_sync"
    page.press("#filters [value=provider]")
    assert len(page.names(shown=True)) == 5


def test_the_audit_trail_names_what_was_done(page: Page) -> None:
    page.begin("My savings")
    page.command("connect")
    page.shows("#audit tr:first-child", "PROVIDER_CONNECTED")
    page.shows("#audit tr:nth-child(2)", "PROVIDER_CONNECTION_ATTEMPTED")
    assert "127.0.0.1" in page.text("#audit tr:first-child")


def test_two_tabs_stay_in_step(page: Page, server: Server) -> None:
    page.browser.switch_to.new_window("tab")
    other = Page.open(page.browser, server.address)
    page.begin("My savings")
    other.shows("#life-title", "My savings")
    other.command("connect")
    page.comes_to_state("active")
    page.command("expire")
    other.comes_to_state("expired")
    page.comes_to_state("expired")
    assert page.log() == other.log()
    page.shows("#way-who", "You pressed a button")
    other.shows("#way-who", "An event came over the stream")


def test_a_page_that_is_opened_again_shows_the_same(page: Page) -> None:
    page.begin("My savings")
    page.command("connect")
    page.comes_to_state("active")
    before = page.log()
    again = Page.open(page.browser, page.browser.current_url)
    assert again.log() == before
    assert again.state() == "active"


def test_what_was_begun_is_chosen_also_where_its_event_comes_late(
    page: Page, server: Server
) -> None:
    page.begin("My savings")
    late = (
        "const listen = EventSource.prototype.addEventListener;"
        "EventSource.prototype.addEventListener = function (name, hear) {"
        "  listen.call(this, name, (message) => setTimeout(hear, 500, message)); }"
    )
    page.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": late})
    Page.open(page.browser, server.address).begin("Pension")


def test_text_of_a_user_stays_text(page: Page) -> None:
    page.begin("<img src=x onerror=alert(1)>")
    page.shows("#connections .alias", "<img src=x onerror=alert(1)>")
    assert page.run("return document.querySelectorAll('main img').length") == 0


def test_the_page_asks_no_other_host_for_anything(page: Page, server: Server) -> None:
    page.begin("My savings")
    page.press("#import [type=submit]")
    page.shows("#imports", "done")
    logged = [json.loads(each["message"])["message"] for each in page.logged("performance")]
    asked = [
        each["params"]["request"]["url"]
        for each in logged
        if each["method"] == "Network.requestWillBeSent"
    ]
    assert f"{server.address}/" in asked
    # The browser's own first tab asks itself, by `chrome:`.
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("chrome:", "data:"))}
    assert hosts == {urlsplit(server.address).netloc}


def test_the_console_has_no_complaint(page: Page) -> None:
    page.begin("My savings")
    page.command("connect")
    page.comes_to_state("active")
    assert page.logged("browser") == []


@pytest.mark.parametrize("code", ["eval('1')", "fetch('http://192.0.2.1/')"])
def test_the_policy_holds_back_what_the_page_never_does(page: Page, code: str) -> None:
    blocked = page.browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "document.addEventListener('securitypolicyviolation', (it) => done(it.effectiveDirective));"
        f"const button = document.createElement('script'); button.textContent = {code!r};"
        "document.head.append(button);"
    )
    assert blocked == "script-src-elem"


def test_screenshots_are_left_for_a_person(page: Page, shots: Path) -> None:
    page.look_like(1280, 900)
    page.photograph(shots / "1-empty.png")
    page.begin("My savings")
    for command, state in (("connect", "active"), ("sync", "active"), ("refresh", "active")):
        page.command(command)
        page.comes_to_state(state)
    page.press("#import [type=submit]")
    page.shows("#imports", "done")
    page.command("expire")
    page.comes_to_state("expired")
    page.begin("Pension")
    page.command("connect")
    page.comes_to_state("active")
    page.photograph(shots / "2-light.png")
    page.command("fail")
    page.shows("#outcome", "refused")
    page.photograph(shots / "3-refused.png")
    views = ((1280, 900, "screen"), (768, 1024, "tablet"), (360, 740, "phone"))
    for number, (width, height, name) in enumerate(views, 4):
        for dark in (False, True):
            page.look_like(width, height, dark=dark, phone=width < 1000)
            page.photograph(shots / f"{number}-{name}{'-dark' if dark else ''}.png")
    assert len(list(shots.glob("*.png"))) >= 9
