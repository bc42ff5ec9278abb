"""The server dies in mid-stream and comes back, while others go on writing."""

import signal
import time

from tests.browser.looking import Page, eventually
from tests.browser.serving import Server, writer

WATCH = (
    "window.seen = ['live']; const link = document.getElementById('link');"
    "new MutationObserver(() => {"
    "  if (window.seen.at(-1) !== link.dataset.link) window.seen.push(link.dataset.link)"
    "}).observe(link, {attributes: true})"
)


def test_a_server_that_was_killed_leaves_no_gap_and_no_repeat_among_200_events(
    page: Page, server: Server
) -> None:
    page.run(WATCH)
    with writer(server.file, 200, pause=0.03) as writing:
        eventually(lambda: len(page.log()) > 40)
        server.end(signal.SIGKILL)
        page.comes_to("#link", "link", "reconnecting")
        had = len(page.log())
        time.sleep(0.5)
        server.start()
        page.comes_to("#link", "link", "live", within=30)
        assert writing.wait(60) == 0
    eventually(lambda: len(page.log()) >= 200, within=30)
    assert 40 < had < 200
    rows = page.log()
    assert [row["position"] for row in rows] == list(range(1, 201))
    assert len({row["id"] for row in rows}) == 200
    assert "none missing, none twice" in page.text("#link-facts")
    assert "caught up" in page.text("#link-facts")
    assert page.run("return window.seen") == ["live", "reconnecting", "resuming", "live"]


def test_a_server_that_is_told_to_end_is_resumed_from_as_well(page: Page, server: Server) -> None:
    page.begin("My savings")
    began = time.monotonic()
    assert server.end(signal.SIGINT) == 130
    assert time.monotonic() - began < 3
    page.comes_to("#link", "link", "reconnecting")
    with writer(server.file, 30, pause=0.0) as writing:
        assert writing.wait(60) == 0
    server.start()
    page.comes_to("#link", "link", "live", within=30)
    eventually(lambda: [row["position"] for row in page.log()] == list(range(1, 32)))
    page.shows("#link-facts", "30 caught up")


def test_no_answer_is_no_refusal_and_is_forgotten_once_the_page_is_live_again(
    page: Page, server: Server
) -> None:
    page.begin("My savings")
    server.end(signal.SIGKILL)
    for button, outcome in (
        ("[data-command=connect]", "outcome"),
        ("#begin [type=submit]", "begin-outcome"),
        ("#import [type=submit]", "import-outcome"),
    ):
        page.press(button)
        page.shows(f"#{outcome}", "the server does not answer")
        assert "refused" not in page.text(f"#{outcome}")
    assert page.run("return document.querySelectorAll('.refused, [data-kind=refused]').length") == 0
    server.start()
    page.comes_to("#link", "link", "live", within=30)
    assert page.run("return document.querySelectorAll('[data-kind=unanswered]').length") == 0
    page.command("connect")
    page.comes_to_state("active")


def test_another_log_in_place_of_the_one_it_knew_is_begun_anew(page: Page, server: Server) -> None:
    page.begin("My savings")
    server.end(signal.SIGTERM)
    for file in server.file.parent.glob("events*"):
        file.unlink()
    server.start()
    page.comes_to("#link", "link", "live", within=30)
    eventually(lambda: page.log() == [])
    page.shows("#no-connections", "None yet")


def test_what_comes_twice_or_goes_missing_is_counted(page: Page) -> None:
    page.run("return 0")
    counted = page.browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "import('/static/model.js').then(({Model}) => {"
        "  const model = new Model({start: {}, transitions: {}});"
        "  model.begin({connections: [], imports: [], versions: {'a-1': 1}, position: 1});"
        "  for (const [position, version] of [[2, 2], [2, 2], [5, 4], [6, 5]]) {"
        "    model.apply({stream: 'a-1', position, version});"
        "  }"
        "  done([model.repeats, model.gaps, model.heard]);"
        "});"
    )
    assert counted == [1, 1, 4]
