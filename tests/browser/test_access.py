"""The page for those who do not see it, do not use a mouse, or hold it in one hand."""

from itertools import pairwise
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Keys

from dashtam_events.connection import ProviderConnectionError
from tests.browser.looking import Page

CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const parts = (color) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = (color) => parts(color).slice(0, 3).map((part) => part / 255)
  .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
  .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
const behind = (element) => {
  for (let on = element; on; on = on.parentElement) {
    const color = getComputedStyle(on).backgroundColor;
    if (parts(color)[3] === 255) return color;
  }
  return getComputedStyle(document.body).backgroundColor;
};
const ratio = (one, other) => {
  const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
};
const found = [];
for (const element of document.querySelectorAll('body *:not(svg *, script, option)')) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility()) continue;
  found.push([element.textContent.trim().slice(0, 40),
    ratio(getComputedStyle(element).color, behind(element))]);
}
for (const [box, text] of [['rect', 'text']].flatMap(([box, text]) =>
  [...document.querySelectorAll('svg .state')].map((state) =>
    [state.querySelector(box), state.querySelector(text)]))) {
  found.push([text.textContent, ratio(getComputedStyle(text).fill, getComputedStyle(box).fill)]);
}
return found;
"""

CUT = """
return [...document.querySelectorAll('.scroll, .log, .connections, button')]
  .filter((each) => each.scrollWidth > each.clientWidth)
  .map((each) => each.id || each.textContent);
"""

TOUCHING = """
const diagram = [...document.querySelectorAll('svg.states')].find((on) => on.checkVisibility());
const boxes = [...diagram.querySelectorAll('rect')];
const labels = [...diagram.querySelectorAll('.verb')];
const apart = 3;
const touch = (one, other) => {
  const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
  return a.left < b.right + apart && b.left < a.right + apart
    && a.top < b.bottom + apart && b.top < a.bottom + apart;
};
const found = [];
for (const { dataset: { state } } of diagram.querySelectorAll('[data-state]')) {
  for (const each of labels) each.classList.toggle('lit', each.dataset.from === state);
  const lit = labels.filter((each) => each.dataset.from === state);
  for (const label of lit) {
    for (const other of [...boxes, ...lit]) {
      if (other === label || !touch(label, other)) continue;
      const what = other.parentElement.dataset.state ?? other.textContent;
      found.push(`${state}: ${label.textContent} at ${what}`);
    }
  }
}
return found;
"""


@pytest.fixture
def busy(page: Page) -> Page:
    """A page with something of everything."""
    page.begin("My savings")
    page.command("connect")
    page.comes_to_state("active")
    page.command("fail")
    page.shows("#outcome", "refused")
    page.press("#import [type=submit]")
    page.shows("#imports", "done")
    page.shows("#audit tr:first-child", "FILE_IMPORT_SUCCEEDED")
    return page


def nodes(page: Page) -> list[dict[str, Any]]:
    """What a screen reader is given of the page."""
    page.run("return 0")
    tree = page.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    return [
        {part: node.get(part, {}).get("value", "") for part in ("role", "name", "description")}
        for node in tree
        if not node.get("ignored")
    ]


def test_every_control_has_a_name(busy: Page) -> None:
    controls = {"button", "textbox", "combobox", "slider", "checkbox", "link", "progressbar"}
    found = [node for node in nodes(busy) if node["role"] in controls]
    assert {node["role"] for node in found} >= {*controls} - {"link"}
    assert [node for node in found if not node["name"].strip()] == []


def test_the_page_has_landmarks_and_headings_in_order(busy: Page) -> None:
    roles = [node["role"] for node in nodes(busy)]
    for landmark in ("banner", "main", "contentinfo", "region"):
        assert landmark in roles
    levels = busy.run(
        "return [...document.querySelectorAll('h1,h2,h3')].map((each) => Number(each.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_state_is_said_and_not_only_drawn(busy: Page) -> None:
    pictures = [node["name"] for node in nodes(busy) if node["role"] in ("image", "img")]
    assert any("My savings at Schwab is active" in name for name in pictures)


def test_a_button_that_would_be_refused_says_why(busy: Page) -> None:
    described = {
        node["name"]: node["description"] for node in nodes(busy) if node["role"] == "button"
    }
    assert described["Fail"] == ProviderConnectionError.CANNOT_FAIL
    assert described["Sync"] == "Accounts and balances are fetched"


def test_the_tables_stay_tables_where_their_rows_are_folded(busy: Page) -> None:
    for width in (360, 1280):
        busy.look_like(width, 800, phone=True)
        roles = [node["role"] for node in nodes(busy)]
        assert roles.count("table") == 2
        assert roles.count("columnheader") == 10
        assert roles.count("cell") % 5 == 0


@pytest.mark.parametrize("server", [0.0], indirect=True)
def test_a_burst_of_events_is_announced_once(busy: Page) -> None:
    busy.run(
        "window.said = []; const voice = document.getElementById('announcer');"
        "voice.textContent = '';"
        "new MutationObserver(() => window.said.push(voice.textContent))"
        ".observe(voice, {childList: true})"
    )
    busy.press("#import [type=submit]")
    busy.shows("#announcer", "FileImport")
    said = busy.run("return window.said")
    assert 1 <= len(said) <= 2
    assert not any("Progress" in each for each in said)


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_stands_out_from_what_is_behind_it(busy: Page, dark: bool) -> None:
    busy.look_like(1360, 1000, dark=dark)
    busy.run("for (const it of document.getAnimations()) it.finish()")
    found = busy.run(CONTRAST)
    assert len(found) > 60
    assert [each for each in found if each[1] < 4.5] == []


def test_a_connection_is_led_through_its_life_by_keyboard_alone(page: Page) -> None:
    keys = ActionChains(page.browser)
    keys.send_keys(Keys.TAB).perform()
    assert page.run("return document.activeElement.className") == "skip"
    tab_to(page, "return document.activeElement.name === 'alias'")
    ActionChains(page.browser).send_keys("By keyboard", Keys.ENTER).perform()
    page.shows("#life-title", "By keyboard")
    tab_to(page, "return document.activeElement.dataset.command === 'connect'")
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert page.run(outline) == "solid"
    ActionChains(page.browser).send_keys(Keys.ENTER).perform()
    page.comes_to_state("active")
    assert page.run("return document.activeElement.dataset.command") == "connect"


def tab_to(page: Page, there: str) -> None:
    """Press Tab until the focus is where it should be."""
    for _ in range(40):
        ActionChains(page.browser).send_keys(Keys.TAB).perform()
        if page.run(there):
            return
    raise AssertionError("it cannot be reached with Tab")


@pytest.mark.parametrize("width", [320, 360, 390, 768, 1000, 1280])
def test_nothing_needs_scrolling_sideways(busy: Page, width: int) -> None:
    busy.look_like(width, 800, phone=True)
    assert busy.run("return document.documentElement.scrollWidth") <= width
    assert busy.run(CUT) == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_one_long_word_as_a_name_is_broken_wherever_it_is_shown(page: Page, width: int) -> None:
    page.begin("W" * 80)
    page.command("connect")
    page.comes_to_state("active")
    page.command("sync")
    page.shows("#syncs", "W" * 80)
    page.run("for (const each of document.querySelectorAll('details')) each.open = true")
    page.look_like(width, 800, phone=width < 1000)
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert page.run(CUT) == []
    beyond = page.run(
        "return [...document.querySelectorAll('section *:not(svg, svg *, input)')]"
        ".filter((each) => each.checkVisibility() && each.getBoundingClientRect().right"
        " > each.closest('section').getBoundingClientRect().right)"
        ".map((each) => each.id || each.className || each.tagName)"
    )
    assert beyond == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_label_of_the_diagram_touches_a_box_or_another_label(busy: Page, width: int) -> None:
    busy.look_like(width, 800, phone=width < 1000)
    assert busy.run(TOUCHING) == []


@pytest.mark.parametrize("width", [320, 360, 768, 1000, 1280])
def test_the_text_of_the_diagram_can_be_read(busy: Page, width: int) -> None:
    busy.look_like(width, 800, phone=True)
    sizes = busy.run(
        "return [...document.querySelectorAll('svg.states text')]"
        ".filter((text) => text.checkVisibility()).map((text) =>"
        " parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)"
    )
    assert len(sizes) >= 9
    assert min(sizes) >= 10


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_covers_what_has_the_focus(busy: Page, width: int) -> None:
    busy.look_like(width, 740, phone=True)
    busy.run("window.scrollTo(0, 0); document.activeElement.blur()")
    covered = set()
    for _ in range(30):
        ActionChains(busy.browser).send_keys(Keys.TAB).perform()
        covered.add(
            busy.run(
                "const on = document.activeElement; const box = on.getBoundingClientRect();"
                "const there = document.elementFromPoint(box.left + box.width / 2, box.top + 8);"
                "return on === document.body || on.contains(there) || there?.contains(on)"
                " ? '' : `${on.id || on.textContent} under ${there?.className}`"
            )
        )
    assert covered == {""}


def test_what_is_pressed_on_a_phone_is_large_enough(busy: Page) -> None:
    busy.look_like(390, 844, phone=True)
    small = busy.run(
        "return [...document.querySelectorAll('button, select, input:not([type=checkbox])')]"
        ".filter((each) => each.checkVisibility())"
        ".map((each) => [each.textContent || each.name || each.id, each.getBoundingClientRect()])"
        ".filter(([, box]) => box.height < 32 || box.width < 44).map(([name]) => name)"
    )
    assert small == []


def test_nothing_moves_where_that_is_not_wanted(page: Page) -> None:
    still = {"name": "prefers-reduced-motion", "value": "reduce"}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [still]})
    page.begin("My savings")
    assert page.run("return document.getAnimations().length") == 0
