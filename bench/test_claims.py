"""`pytest bench/ -k claims`: one test a claim. A verdict is a result, whatever it says."""

from __future__ import annotations

import pytest

from closedloop.bench.claims import CLAIMS
from closedloop.bench.claims.claim import Verdict
from closedloop.bench.claims.evidence import Evidence
from closedloop.bench.claims.front import EXAMINED
from closedloop.bench.claims.verdicts import judge, load


@pytest.fixture(scope="session")
def evidence(request: pytest.FixtureRequest) -> Evidence:
    """The session's results folder."""
    option = request.config.option
    return Evidence(option.results, option.plugin or ())


@pytest.mark.parametrize("name", CLAIMS)
def test_claims(name: str, evidence: Evidence, record_property) -> None:
    """The claim loads, is examined, and every part of it has a figure or says what to run."""
    claim = load(name)
    found = judge(name, evidence)
    EXAMINED[name] = found
    assert claim.name == name and claim.rule and claim.source
    assert found.findings and found.headlines
    for finding in found.headlines:
        record_property(f"{name} {finding.part}", finding.verdict.value)
    broken = [f.note for f in found.findings if "could not be examined" in f.note]
    assert not broken, broken[0]
    assert all(isinstance(finding.verdict, Verdict) for finding in found.findings)
