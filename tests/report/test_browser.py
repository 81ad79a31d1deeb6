"""The page in a real browser: what a reader does with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lutbench.lut.row import failed_row
from lutbench.report.page import write_report
from tests.report.conftest import open_page, set_width
from tests.report.luts import make_lut, with_row, work_us

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

BLOCK = "ir_k5_e6_g1_64x14x14_64_s1"
CELL = "map0-a-cell-10-7"  # layer 11, k5_e6
FAILED = "ir_k3_e1_g1_16x112x112_16_s1"


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages about one LUT and about two, one of them with a failed row and an awkward name."""
    folder = tmp_path_factory.mktemp("pages")
    one = with_row(make_lut(), failed_row(FAILED, 'said "no"'))
    name = "<script>document.title='broken'</script> a long name of a device that has to be wrapped somewhere"
    two = make_lut(rule=lambda op: work_us(op) * (3 if op.kernel == 5 else 2), device=name)
    found = {"one": folder / "one.html", "two": folder / "two.html"}
    write_report([one], found["one"])
    write_report([one, replace(two, metadata=replace(two.metadata, provenance="estimated"))], found["two"])
    return found


def all_of(browser: Chrome, selector: str) -> list[WebElement]:
    return browser.find_elements("css selector", selector)


def one_of(browser: Chrome, selector: str) -> WebElement:
    (found,) = all_of(browser, selector)
    return found


def column(browser: Chrome, table: str, number: int) -> list[str]:
    """The cells of a column from top to bottom, as the page shows them."""
    script = (
        "return [...document.getElementById(arguments[0]).tBodies[0].rows].map(r => r.cells[arguments[1]].innerText)"
    )
    found: list[str] = browser.execute_script(script, table, number)
    return found


def numbers(texts: list[str]) -> list[float]:
    return [float(text) for text in texts if text != "–"]


def test_the_map_has_a_cell_per_layer_and_candidate(browser: Chrome, pages: dict[str, Path]) -> None:
    open_page(browser, pages["one"])
    assert len(all_of(browser, "#map0-a td.cell")) == 22 * 9
    assert len(all_of(browser, "#map0-a tbody tr")) == 22
    assert len(all_of(browser, "#map0-a td.cell.identity")) == 16
    open_page(browser, pages["two"])
    assert [len(all_of(browser, f"#{name} td.cell")) for name in ("map0-a", "map0-b", "map0-ratio")] == [198] * 3
    assert browser.title.startswith("host and <script>")


@pytest.mark.parametrize(("header", "number"), [("latency (µs)", 1), ("samples", 6)])
def test_a_numeric_header_sorts_up_then_down_with_failed_rows_last(
    browser: Chrome, pages: dict[str, Path], header: str, number: int
) -> None:
    open_page(browser, pages["one"])
    head = all_of(browser, "#operators-a thead th")[number]
    button = head.find_element("tag name", "button")
    assert button.text.startswith(header) and head.get_attribute("aria-sort") is None
    before = column(browser, "operators-a", number)
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    rising = column(browser, "operators-a", number)
    assert numbers(rising) == sorted(numbers(before))
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    falling = column(browser, "operators-a", number)
    assert numbers(falling) == sorted(numbers(before), reverse=True)
    if header.startswith("latency"):
        assert rising[-1] == falling[-1] == "–"
        assert float(falling[0]) > 100 > float(rising[20]) >= 9  # by number: 100 is not before 9


def test_text_headers_sort_and_only_one_header_is_marked(browser: Chrome, pages: dict[str, Path]) -> None:
    open_page(browser, pages["two"])
    buttons = all_of(browser, "#operators-compared thead button")
    buttons[3].click()
    buttons[5].click()
    marked = [head.get_attribute("aria-sort") for head in all_of(browser, "#operators-compared thead th")]
    assert marked == [None] * 5 + ["ascending"]
    verdicts = column(browser, "operators-compared", 5)
    assert verdicts == sorted(verdicts, key=str.lower) and len(set(verdicts)) >= 3


def test_the_filter_keeps_rows_with_every_word(browser: Chrome, pages: dict[str, Path]) -> None:
    open_page(browser, pages["one"])
    one_of(browser, "#operators-a-filter").send_keys("K5 14x14_64")
    shown = [row.text.split()[0] for row in all_of(browser, "#operators-a tbody tr:not([hidden])")]
    assert BLOCK in shown
    assert all("k5" in name and "14x14_64" in name for name in shown)
    assert one_of(browser, 'output[data-count="operators-a"]').text == f"{len(shown)} of 116"


def test_the_theme_changes_and_is_remembered(browser: Chrome, pages: dict[str, Path]) -> None:
    def background() -> str:
        return one_of(browser, "body").value_of_css_property("background-color")

    open_page(browser, pages["one"])
    browser.execute_script("localStorage.clear()")
    browser.refresh()
    light = background()
    chart = "return getComputedStyle(document.querySelector('#quality svg text')).fill"
    text = browser.execute_script(chart)
    one_of(browser, "#theme").click()
    dark = background()
    assert dark != light
    assert browser.execute_script(chart) != text
    browser.refresh()
    assert background() == dark
    one_of(browser, "#theme").click()
    assert background() == light
    browser.execute_script("localStorage.clear()")


def test_the_systems_theme_is_taken(browser: Chrome, pages: dict[str, Path]) -> None:
    seen = set()
    for scheme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        open_page(browser, pages["one"])
        seen.add(one_of(browser, "body").value_of_css_property("background-color"))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(seen) == 2


@pytest.mark.parametrize("name", ["one", "two"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_itself_never_scrolls_sideways(browser: Chrome, pages: dict[str, Path], name: str, width: int) -> None:
    set_width(browser, width)
    open_page(browser, pages[name])
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    wide, inner = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert inner == width
    assert wide <= width


def test_hovering_shows_the_interval(browser: Chrome, pages: dict[str, Path]) -> None:
    from selenium.webdriver import ActionChains

    open_page(browser, pages["one"])
    tip = one_of(browser, "#tip")
    assert not tip.is_displayed()
    for selector in (f"#{CELL}", "#operators-a tbody tr:nth-child(2) td:nth-child(2)"):
        cell = one_of(browser, selector)
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
        ActionChains(browser).move_to_element(cell).perform()
        assert tip.is_displayed()
        assert "95 % interval" in tip.text and "±1.0 %" in tip.text
        place = tip.rect
        assert place["x"] >= 0 and place["x"] + place["width"] <= 1280
    assert one_of(browser, f"#{CELL}").get_attribute("data-value") is not None
    point = all_of(browser, "#additivity [data-tip] use")[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    ActionChains(browser).move_to_element(point).perform()
    assert "fbnet@224x1.0" in tip.text


def test_the_keyboard_shows_it_too(browser: Chrome, pages: dict[str, Path]) -> None:
    from selenium.webdriver import Keys

    open_page(browser, pages["one"])
    tip = one_of(browser, "#tip")
    stops = all_of(browser, "#map0-a td[tabindex='0']")
    assert [stop.get_attribute("id") for stop in stops] == ["map0-a-cell-0-0"]
    stops[0].send_keys(Keys.ARROW_RIGHT)
    assert browser.switch_to.active_element.get_attribute("id") == "map0-a-cell-0-1"
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    active = browser.switch_to.active_element
    assert active.get_attribute("id") == "map0-a-cell-1-1"
    assert active.get_attribute("aria-describedby") == "tip"
    assert tip.is_displayed() and "95 % interval" in tip.text
    active.send_keys(Keys.ESCAPE)
    assert not tip.is_displayed()


def test_a_failed_cell_says_why(browser: Chrome, pages: dict[str, Path]) -> None:
    open_page(browser, pages["one"])
    (cell,) = all_of(browser, "#map0-a td.cell.failed")
    browser.execute_script("arguments[0].focus()", one_of(browser, "#map0-a-cell-0-0"))
    assert cell.get_attribute("id") == "map0-a-cell-0-0"
    assert 'failed: said "no"' in one_of(browser, "#tip").text


def test_an_estimate_is_in_sight_when_the_page_opens(browser: Chrome, pages: dict[str, Path]) -> None:
    for width in (390, 1280):
        set_width(browser, width)
        open_page(browser, pages["two"])
        warning = one_of(browser, ".warning")
        assert "Estimated, not measured" in warning.text
        assert warning.rect["y"] < 700


def test_everything_is_there_without_scripts(browser: Chrome, pages: dict[str, Path]) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        open_page(browser, pages["one"])
        assert "95 % interval" in str(one_of(browser, f"#{CELL}").get_attribute("title"))
        assert not one_of(browser, "#theme").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_it_prints(browser: Chrome, pages: dict[str, Path]) -> None:
    open_page(browser, pages["two"])
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not one_of(browser, "nav").is_displayed()
        assert one_of(browser, "#map0-a").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
