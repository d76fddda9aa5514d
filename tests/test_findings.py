"""docs/findings.md says what the records say: its verdicts and numbers stand in tables it links."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "findings.md").read_text()
CLAIMS = Path(__file__).parents[1] / "results/reference/small/report/tables/claims.csv"
VERDICTS = ("not supported", "contradicted", "supported", "not run here")

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
NUMBER = re.compile(r"(?<![\d.])[+−-]?\d+(?:,\d{3})*\.\d+(?![\d.])")
INTERVAL = re.compile(r"(?<![\d.])-?\d+\.\d+ \[-?\d+\.\d+, -?\d+\.\d+\]")
HEAD = re.compile(r"\*\*([A-Z]\d)\b([^*]*)\*\*")


def blocks() -> list[str]:
    """Paragraphs, and items of lists one by one."""
    return [text for text in re.split(r"\n\s*\n|\n(?=- )", TEXT) if text.strip()]


def plain(number: str) -> str:
    """A number without what sets it: no plus, a hyphen for a minus."""
    return number.replace("−", "-").lstrip("+").replace(",", "")


def numbers(text: str) -> set[str]:
    """The decimal numbers of a text, but not those of links or arXiv ids."""
    bare = re.sub(r"arXiv:\S+|https?://\S+", "", LINK.sub("]", text))
    return {plain(found) for found in NUMBER.findall(bare)}


def intervals(text: str) -> set[str]:
    """`mean [low, high]`, each as a whole."""
    return set(INTERVAL.findall(" ".join(text.replace("−", "-").replace("+", "").split())))


def tables(block: str) -> list[Path]:
    """The tables that a block links to."""
    links = [(DOCS / link).resolve() for link in LINK.findall(block) if "://" not in link]
    return [path for path in links if path.suffix in (".md", ".csv")]


def test_every_link_leads_somewhere() -> None:
    for link in LINK.findall(TEXT):
        assert "://" in link or (DOCS / link).exists(), link


@pytest.mark.parametrize("block", blocks(), ids=lambda text: text.strip()[:40])
def test_every_number_stands_in_a_table_that_its_paragraph_links(block: str) -> None:
    wanted = numbers(block)
    paths = tables(block)
    assert paths or not wanted, f"numbers without a table: {sorted(wanted)}"
    there = set().union(*(numbers(path.read_text()) for path in paths)) if paths else set()
    read = set().union(*(intervals(path.read_text()) for path in paths)) if paths else set()
    assert intervals(block) <= read, f"no such interval: {sorted(intervals(block) - read)}"
    assert wanted <= there, f"not in {[path.name for path in paths]}: {sorted(wanted - there)}"


def verdicts_in(text: str) -> set[str]:
    """The verdicts that a text names."""
    found = set()
    for verdict in VERDICTS:  # "not supported" before "supported", which it holds
        if verdict in text:
            found.add(verdict)
            text = text.replace(verdict, "")
    return found


def test_every_claim_stands_with_the_verdicts_of_the_records() -> None:
    judged: dict[str, set[str]] = {}
    with CLAIMS.open(newline="") as file:
        for line in csv.DictReader(file):
            judged.setdefault(line["claim"], set()).add(line["verdict"])
    told = {name: verdicts_in(text) for name, text in HEAD.findall(TEXT)}
    assert told == judged


def test_the_check_sees_a_wrong_number() -> None:
    assert numbers("from −2.35 [−6.32, +1.62] at 1,024.5; arXiv:2511.21882 [x](a/1.5.md)") == {
        "-2.35",
        "-6.32",
        "1.62",
        "1024.5",
    }
    assert intervals("from −2.35 [−6.32,\n +1.62] on") == {"-2.35 [-6.32, 1.62]"}
    assert verdicts_in("contradicted as printed, not supported as corrected") == {
        "contradicted",
        "not supported",
    }
