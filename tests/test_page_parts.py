"""What the page says of records, and what its parts promise; test_page.py opens it."""

import base64
import hashlib
import json
import re
import zlib

import pandas as pd
import pytest
from page_makers import campaign, drawing, made_campaign, record, trial

from closedloop.bench.campaign import Campaign
from closedloop.bench.page.board import board
from closedloop.bench.page.packing import Pool, Room, block, columns
from closedloop.bench.page.page import file, page, write_page
from closedloop.bench.scores import scores
from closedloop.bench.stats.intervals import seed_interval


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Campaign:
    return made_campaign(tmp_path_factory.mktemp("made"))


def unpacked(html: str, name: str):
    found = re.search(rf'id="{name}"( data-packed)?>(.*?)</script>', html)
    text = zlib.decompress(base64.b64decode(found[2])) if found[1] else found[2]
    return json.loads(text)


def test_lines_hold_the_means_and_intervals_of_the_statistics(made) -> None:
    lines = board(made, scores(made))
    at = lines[(lines["method"] == "eqt") & (lines["iterations"] == 4) & (lines["length"] == 16)]
    assert sorted(at["trained_length"]) == [8, 16]
    wanted = seed_interval([80, 81, 82], 0, 100)
    for line in at.itertuples():
        seen = (line.score, line.low, line.high)
        assert seen == pytest.approx((wanted.mean, wanted.low, wanted.high), abs=0.005)
        assert line.normalised == pytest.approx((0.81 - 0.5) / 0.5) and not line.trained
        assert line.whole == pytest.approx(41) and line.flops == 5000


def test_failed_trials_are_at_chance_or_left_out(made) -> None:
    lines = board(made, scores(made))
    mine = lines[(lines["method"] == "gru") & (lines["trained_length"] == 8)]
    assert set(mine["counted"]) == {"chance", "out"}
    means = mine[mine["length"] == 8].set_index("counted")["score"]
    assert means["chance"] == pytest.approx((50 + 50 + 62) / 3, abs=0.005) and means["out"] == 62
    assert set(mine["missing"]) == {"1 oom, 1 timeout"} and set(mine["seeds"]) == {1}


def test_the_same_records_give_the_same_bytes_and_no_date(made, tmp_path) -> None:
    first, second = (page(made, "gru", [drawing()], []) for _ in range(2))
    assert first == second and not re.search(r"20\d\d-\d\d-\d\d", first)
    path = write_page(made, "gru", [drawing()], [], tmp_path / "index.html")
    assert path.read_text() == first


def test_every_configuration_is_in_the_page(made) -> None:
    found = unpacked(page(made, "gru", [], []), "details-data")

    def value(place: int):
        node = found["pool"][place]
        if isinstance(node, list):
            return [value(item) for item in node]
        return {k: value(v) for k, v in node.items()} if isinstance(node, dict) else node

    seen = [value(place) for place in found["trials"]]
    assert [body["trial"] for body in seen] == [asked.to_dict() for asked in made.trials]
    assert sum(body["status"] == "not run" for body in seen) == 1
    known = next(body for body in seen if body["trial_id"] == trial("eqt", 8, 0).id)
    assert known["data"]["8"] == {"sha256": "hash-8", "levels": {"chance": 0.5}}


def test_a_pool_keeps_equal_values_once_and_apart_what_json_tells_apart() -> None:
    pool = Pool()
    values = [1, 1.0, True, "1", [1], [1.0], {"a": [1]}, None]
    assert len({pool.add(value) for value in values}) == len(values)
    before = len(pool.entries)
    assert pool.add({"a": (1,)}) == pool.add({"a": [1]}) and len(pool.entries) == before


def test_a_block_cannot_be_left_and_packs_when_long() -> None:
    hostile = "</script><!-- <b>&amp; \u2028 \ud800"
    assert json.loads(re.search(">(.*)<", block("x", hostile))[1]) == hostile
    assert block("x", hostile).count("<") == 2 and "\ud800" not in block("x", hostile)
    assert unpacked(block("x", [hostile] * 9, plain=10), "x") == [hostile] * 9
    frame = pd.DataFrame({"a": ["x", "y", "x"], "b": [1.5, None, 2]})
    assert columns(frame)["a"] == {"words": ["x", "y"], "places": [0, 1, 0]}


def test_what_does_not_fit_is_left_out_and_named() -> None:
    room = Room(1000)
    views = [{"title": "small", "body": "x"}, {"title": "large", "body": "x" * 2000}]
    assert room.views(views, 900, "tables") == views[:1]
    kept = room.block("x", [("", lambda: "y" * 5000), ("all y", lambda: "")])
    assert len(kept) < 100
    assert room.left_out == ["1 tables (large)", "all y: too many for one page"]


def test_a_thousand_trials_fit_into_a_page_of_a_megabyte(tmp_path) -> None:
    """10,000 then fit into five: libraries and markup are a third of a megabyte."""
    rows = [f"eqt-{number:03d}" for number in range(200)]
    trials = [trial(row, 8, seed, "eqt") for row in rows for seed in range(5)]
    records = [record(asked) for asked in trials]
    text = page(campaign(tmp_path, trials, records), rows[0], [], [])
    assert len(text.encode()) < 1_000_000 and "Left out" not in text


def contrast(one: str, other: str) -> float:
    """The WCAG 2.2 contrast ratio of two colours, #rrggbb."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_texts_have_the_contrast_that_wcag_asks_for(theme: int) -> None:
    found = re.findall(r"--(\w+): light-dark\((#\w+), (#\w+)\)", file("page.css"))
    colour = {name: pair[theme] for name, *pair in found}
    for ground in ("paper", "raised", "wash"):
        for name in ("ink", "quiet", "accent", "bad"):
            assert contrast(colour[name], colour[ground]) >= 4.5, (name, ground)
        assert contrast(colour["edge"], colour[ground]) >= 3, ground


def test_what_is_borrowed_is_what_the_list_says() -> None:
    told = re.findall(r"`([\w.]+)` \| MIT \| `(\w{64})`", file("vendor/VENDOR.md"))
    assert len(told) == 4
    for name, digest in told:
        assert hashlib.sha256(file(f"vendor/{name}").encode()).hexdigest() == digest
