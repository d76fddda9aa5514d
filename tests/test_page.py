"""The page in a browser, read from disk: it sorts, filters, shows, and needs no network."""

import json
import re
import shutil
from pathlib import Path

import pytest
from page_makers import EVIL, WORSE, campaign, drawing, made_campaign, record, table, trial

from closedloop.bench.page.page import write_page
from closedloop.bench.trial import Record

pytest.importorskip("selenium", reason="no selenium: install the extra `test`")
if not (shutil.which("chromium") and shutil.which("chromedriver")):
    pytest.skip("no Chromium: apt-get install chromium chromium-driver", allow_module_level=True)

from browser import Reader
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    found = Reader(tmp_path_factory.mktemp("profile"))
    yield found
    found.driver.quit()


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    made = made_campaign(folder)
    return write_page(made, "gru", [drawing()], [table()], folder / "index.html")


@pytest.fixture
def page(reader, path) -> Reader:
    reader.open(path)
    return reader


def test_it_opens_from_disk_without_a_message_or_a_request(page) -> None:
    assert page.driver.get_log("browser") == []
    events = [
        json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")
    ]
    sent = [
        e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"
    ]
    own = [url for url in sent if not url.startswith("chrome:")]  # the browser's first, empty tab
    assert own and all(url.startswith(("file:", "data:")) for url in own)


def test_the_default_view_is_short_and_best_first(page) -> None:
    """Own metric, trained budget and length: a line a method and length."""
    assert len(page.column("score")) == 8
    assert page.heads() == [
        *("task", "method", "trained_length", "iterations", "metric", "score", "low"),
        *("normalised", "whole", "seeds", "flops", "parameters", "train_flops", "notes"),
    ]
    scores = [float(text) for text in page.column("score")]
    assert scores[:4] == sorted(scores[:4], reverse=True)
    assert page.column("iterations")[page.column("method").index("eqt")] == "2"


def test_a_click_sorts_and_sorts_back(page) -> None:
    for direction, reverse in (("descending", True), ("ascending", False)):
        page.click("#board th[data-key='normalised'] .dt-column-order")
        page.wait_for_sort("normalised", direction)
        values = [float(text) for text in page.column("normalised")]
        assert values == sorted(values, reverse=reverse)


def test_enter_and_space_sort_too(page) -> None:
    for key, direction in ((Keys.ENTER, "ascending"), (Keys.SPACE, "descending")):
        page.find("#board th[data-key='method'] .dt-column-order").send_keys(key)
        page.wait_for_sort("method", direction)
    assert page.column("method") == sorted(page.column("method"), key=str.lower, reverse=True)


@pytest.mark.parametrize(
    ("field", "value", "methods"),
    [
        ("task", "parity", {"gru", "eqt", EVIL, WORSE}),
        ("family", "recurrent", {"gru"}),
        ("causal", "yes", {"gru", "eqt", EVIL}),
        ("iterates", "hidden", {"eqt"}),
        ("budget", "1", {"gru", EVIL, WORSE}),
        ("flops", "2.5 k", {"gru", EVIL, WORSE}),
        ("words", "PARITY scr", {EVIL}),
    ],
)
def test_every_facet_filters(page, field: str, value: str, methods: set[str]) -> None:
    page.choose(f"#facets [name={field}]", value)
    assert set(page.column("method")) == methods
    page.click("#facets button[type=reset]")
    page.wait("document.querySelectorAll('#board tbody tr').length === 8")


def test_a_word_that_is_no_number_of_flops_is_told(page) -> None:
    page.choose("#facets [name=flops]", "lots")
    assert page.find("#facets [name=flops]").get_attribute("aria-invalid") == "true"
    assert len(page.column("method")) == 8


def test_switches_show_all_budgets_longer_rows_and_more_columns(page) -> None:
    page.click("#facets [name=budgets]")
    assert len(page.column("score")) == 8 + 2 * 3 and "trained" in page.heads()
    assert set(page.column("trained")) == {"yes", "no"}
    page.click("#facets [name=longer]")
    assert "length" in page.heads() and "32" in page.column("length")
    page.click("#facets [name=more]")
    assert {"family", "causal", "iterates", "chance"} <= set(page.heads())


def test_failed_trials_can_be_left_out(page) -> None:
    place = page.column("method").index("gru")
    assert "oom" in page.column("notes")[place]
    page.click("#facets [name=failed]")
    means = {
        row: float(s) for row, s in zip(page.column("method"), page.column("score"), strict=True)
    }
    assert max(float(s) for s in page.column("score")) >= 60 and means["gru"] > 60


def test_a_trial_s_configuration_is_one_click_away(page) -> None:
    page.choose("#trial-facets [name=method]", "eqt")
    page.click("#trial-list tbody button")
    page.wait("document.getElementById('trial').open")
    shown = json.loads(page.find("#trial-text").text)
    asked = trial("eqt", 8, 0)
    assert shown["trial"] == asked.to_dict() and shown["costs"]["parameters"] == 12
    assert shown["data"]["8"]["sha256"] == "hash-8"
    assert shown["environment"]["device_name"] == "a device"
    page.find("#trial-text").send_keys(Keys.ESCAPE)
    page.wait("!document.getElementById('trial').open")
    assert page.ask("document.activeElement.textContent") == "configuration"


def test_seeds_of_a_line_lead_to_its_trials(page) -> None:
    page.choose("#facets [name=words]", "eqt")
    page.find("#board tbody button").send_keys(Keys.ENTER)
    page.wait("document.querySelectorAll('#trial-list tbody tr').length === 3")
    assert set(page.column("method", "trial-list")) == {"eqt"}
    assert set(page.column("trained_length", "trial-list")) == {"8"}


def test_failures_tell_their_reasons_and_missing_trials_are_counted(page) -> None:
    words = page.find("#failures").text
    assert f"memory {EVIL}" in words and "over 60 s" in words
    assert "1 planned trial not run" in words
    page.choose("#trial-facets [name=status]", "oom")
    assert page.column("reason", "trial-list") == [f"memory {EVIL}"]


def test_names_stay_text(page) -> None:
    page.click("#facets [name=budgets]")
    for details in page.driver.find_elements(By.CSS_SELECTOR, "details"):
        page.ask("arguments[0].open = true", details)
    page.choose("#trial-facets [name=words]", "img")
    page.click("#trial-list tbody button")
    assert WORSE in page.find("#trial-text").get_attribute("textContent").replace('\\"', '"')
    assert {EVIL, WORSE} <= set(page.column("method"))
    assert (
        page.ask("document.querySelectorAll('main script, dialog script, [onerror]').length") == 0
    )
    images = page.ask("[...document.images].map(image => image.getAttribute('src').slice(0, 5))")
    assert images == ["data:"]
    with pytest.raises(NoAlertPresentException):
        page.driver.switch_to.alert.accept()


def test_dark_is_the_system_s_until_the_reader_chooses(reader, path) -> None:
    reader.open(path, dark=True)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = reader.ask(ground)
    assert reader.find("#theme").get_attribute("aria-pressed") == "true"
    reader.click("#theme")
    light = reader.ask(ground)
    assert (
        sum(map(int, re.findall(r"\d+", light)))
        > 700
        > 200
        > sum(map(int, re.findall(r"\d+", dark)))
    )
    reader.ask("localStorage.clear()")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_phone_never_scrolls_the_page_sideways(reader, path, script: bool) -> None:
    reader.open(path, width=390, script=script)
    reader.ask("document.querySelectorAll('details').forEach(found => { found.open = true; })")
    assert reader.ask("document.documentElement.scrollWidth <= innerWidth")
    assert reader.ask("innerWidth") == 390


def test_without_script_the_default_leaderboard_is_a_plain_table(reader, path) -> None:
    reader.open(path, script=False)
    cells = [row.text for row in reader.driver.find_elements(By.CSS_SELECTOR, "#board tbody tr")]
    assert len(cells) == 8 and any(EVIL in row and "60.00" not in row for row in cells)
    assert not reader.find("#facets").is_displayed()
    assert "need JavaScript" in reader.find("noscript").text
    assert "over 60 s" in reader.find("#failures").text


def test_the_first_tab_stop_skips_to_the_leaderboard(page) -> None:
    page.find("body").send_keys(Keys.TAB)
    assert page.ask("document.activeElement.className") == "skip"
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.ask("document.activeElement.id") == "leaderboard"


def test_curves_are_drawn_and_methods_can_be_taken_out(page) -> None:
    page.choose("#curve-choice [name=trained]", "16")
    pixels = "document.querySelector('#anytime-chart canvas').toDataURL()"
    before = page.ask(pixels)
    page.click("#legend input")
    assert page.ask(pixels) != before
    assert "L = 16" in page.find("#anytime-title").text


EDGES = {
    "one method": lambda trials: [record(asked) for asked in trials if asked.row == "gru"],
    "one seed": lambda trials: [record(asked) for asked in trials if asked.seed == 0],
    "all failed": lambda trials: [
        Record(trial=asked, status="crash", reason="signal 9") for asked in trials
    ],
    "none iterates": lambda trials: [record(asked) for asked in trials if asked.row != "eqt"],
    "all unsupported": lambda trials: [
        Record(trial=asked, status="unsupported", reason="no form") for asked in trials
    ],
}


@pytest.mark.parametrize("name", EDGES)
def test_poor_campaigns_have_a_page_too(reader, tmp_path, name: str) -> None:
    every = [trial(row, 8, seed) for row in ("gru", "eqt") for seed in (0, 1)]
    records = EDGES[name](every)
    trials = [found.trial for found in records] or every
    made = campaign(tmp_path, trials, records)
    reader.open(write_page(made, "transformer", [], [], tmp_path / "index.html"))
    assert reader.driver.get_log("browser") == []
    assert len(reader.column("task")) == len({found.row for found in trials})
