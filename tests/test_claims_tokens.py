"""Claims judged from single tokens, probes, traces and fewer rows, on made-up records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from page_makers import campaign, trial

from closedloop.bench.campaign import Campaign
from closedloop.bench.claims import halting, t4
from closedloop.bench.claims.claim import Finding, Verdict
from closedloop.bench.claims.evidence import Evidence
from closedloop.bench.claims.tokens import Tokens, tokens_of
from closedloop.bench.claims.verdicts import judge, plots
from closedloop.bench.figures.figure import Drawing
from closedloop.bench.outcomes import LOWEST, PER_DECADE
from closedloop.bench.trial import Record, Trial

BUDGETS, SEEDS, ROWS, LENGTH = (0, 1, 8, 32), 4, 20, 16
Side = Mapping[str, np.ndarray]
Made = Callable[[int], Side]
"""seed -> `right`, `nats`, `entropy`, `energy` [K, ROWS, LENGTH]."""
TOKEN_CLAIMS = ["T3", "T4", "C5", "T6", "T7"]


def written(asked: Trial, side: Side, folder: Campaign, **more: object) -> Record:
    """A record with its side file on disk: all positions are scored but the first."""
    scored = np.ones((ROWS, asked.length), bool)
    scored[:, 0] = False
    head = f"{asked.length}/"
    arrays = {f"{head}budgets": np.array(BUDGETS), f"{head}tokens/scored": scored}
    arrays |= {f"{head}{name}": values for name, values in side.items()}
    kept = folder.store.save_rows(asked.id, arrays)
    told = {"rows": kept, "environment": {}, **more}
    return Record(trial=asked, status="ok", **told)  # type: ignore[arg-type]


def evidence(folder: Path, made: Made, seeds: int = SEEDS, **more: object) -> Evidence:
    """EqT on one length, with what `made` gives; `more` goes into every record."""
    trials = [trial("eqt", LENGTH, seed, "eqt") for seed in range(seeds)]
    empty = campaign(folder, trials, [])
    records = [written(each, made(each.seed), empty, **more) for each in trials]
    found = Evidence()
    found.__dict__["main"] = campaign(folder, trials, records)
    return found


def of_tokens(right: np.ndarray, energy: np.ndarray, nats: np.ndarray | None = None) -> Side:
    """Energy and entropy say the same."""
    told = {"right": right.astype(np.uint8), "energy": energy, "entropy": energy}
    told["nats"] = energy if nats is None else nats
    return {f"tokens/{name}": np.asarray(values, float) for name, values in told.items()}


def parts(name: str, of: Evidence) -> dict[str, Finding]:
    return {each.part: each for each in judge(name, of).findings}


def figure(finding: Finding) -> float:
    assert finding.figure is not None
    return finding.figure.mean


# ---- T4 ----------------------------------------------------------------------------------------


def following(sign: float) -> Made:
    """Loss falls (or rises) with the energy at every token, by 0 to 1 nat."""

    def made(seed: int) -> Side:
        fall = np.random.default_rng(seed).uniform(0, 1, (ROWS, LENGTH))
        steps = np.array([0.0, 0.1, 1.0, 1.1])[:, None, None]
        return of_tokens(np.ones((4, ROWS, LENGTH)), 2 - steps * fall, 2 - sign * steps * fall)

    return made


def test_a_loss_that_falls_with_the_energy_supports_t4_and_one_that_rises_contradicts(
    tmp_path: Path,
) -> None:
    part = f"trained eqt on parity, mean over {LENGTH}"
    helps = parts("T4", evidence(tmp_path / "a", following(1.0)))
    assert helps[part].verdict is Verdict.SUPPORTED and helps[part].headline
    assert figure(helps[part]) == pytest.approx(1.0)
    assert len(helps[part].trials) == SEEDS
    hurts = parts("T4", evidence(tmp_path / "b", following(-1.0)))
    assert hurts[part].verdict is Verdict.CONTRADICTED


def test_calibrated_energies_promise_what_the_loss_keeps(tmp_path: Path) -> None:
    """Loss and energy agree: c = 0, and the promise is the energy's median fall, 1/2."""
    found = judge("T4", evidence(tmp_path, following(1.0))).findings
    (promise,) = [f for f in found if f.measured == t4.PROMISE and f.part.endswith(str(LENGTH))][:1]
    assert promise.note == "c = 0 nats"
    assert figure(promise) == pytest.approx(0.5, abs=0.05)  # 2.5 errors of 4 medians of 300


def test_the_shares_of_helped_and_hurt_tokens_are_told(tmp_path: Path) -> None:
    """A half falls by one nat, a quarter rises, a quarter moves by less than 1e-3."""
    after = np.tile([-1.0, 1.0, -1.0, 5e-4], LENGTH // 4)
    after[0] = 0  # not scored: 4 + 3 helped of 15

    def made(seed: int) -> Side:
        nats = np.stack([np.full((ROWS, LENGTH), 2.0)] * 4)
        nats[2] += after
        return of_tokens(nats, nats, nats)

    found = judge("T4", evidence(tmp_path, made)).findings
    (balance,) = [f for f in found if f.measured == t4.BALANCE and f.figure]
    assert balance.note == "helped 46.7 %, hurt 26.7 %, neither 26.7 %"
    assert figure(balance) == pytest.approx(100 * (7 - 4) / 15)


# ---- C5 ----------------------------------------------------------------------------------------


def halved(seed: int) -> Side:
    """Every other position is right at once and sure, the others after eight iterations."""
    easy = np.broadcast_to(np.arange(LENGTH) % 2 == 0, (ROWS, LENGTH))
    full = np.ones((ROWS, LENGTH))
    energy = np.where(easy, 0.0, 2.0)
    return of_tokens(np.stack([easy, easy, full, full]), np.stack([energy, energy, 0 * full, full]))


def test_stopping_where_the_energy_is_low_saves_the_easy_tokens_iterations(tmp_path: Path) -> None:
    """7 of the 15 scored positions are right at once: 7/15 of eight iterations are saved."""
    found = parts("C5", evidence(tmp_path, halved))
    energy = found[f"eqt, energy (Cor. 5), parity {LENGTH}"]
    assert energy.headline and figure(energy) == pytest.approx(100 * 7 / 15)
    assert "points above K = 0" in energy.note
    oracle = found[f"eqt, oracle, parity {LENGTH}"]
    assert figure(oracle) == pytest.approx(100 * 7 / 15) and "a bound" in oracle.note


def test_the_printed_entropy_rule_cannot_save_below_eight(tmp_path: Path) -> None:
    """§3.7 gives sure tokens 8 and the others 32; the best fixed budget here is 8."""
    found = parts("C5", evidence(tmp_path, halved))
    assert figure(found[f"eqt, entropy (§3.7), parity {LENGTH}"]) == pytest.approx(0)
    current = found[f"eqt, current entropy, parity {LENGTH}"]
    assert not current.headline and figure(current) == pytest.approx(100 * 7 / 15)


def test_savings_where_refinement_buys_nothing_support_nothing(tmp_path: Path) -> None:
    """K = 0 is as good: stopping at once would save all, and says nothing."""
    full = np.ones((4, ROWS, LENGTH))
    for finding in parts("C5", evidence(tmp_path, lambda seed: of_tokens(full, full))).values():
        if finding.figure:
            assert finding.verdict is Verdict.NOT_SUPPORTED and "nothing to save" in finding.note


def test_one_seed_supports_no_saving(tmp_path: Path) -> None:
    found = parts("C5", evidence(tmp_path, halved, seeds=1))
    energy = found[f"eqt, energy (Cor. 5), parity {LENGTH}"]
    assert energy.verdict is Verdict.NOT_SUPPORTED and energy.note.endswith(": one seed")


def test_a_threshold_that_fails_on_the_other_half_saves_nothing() -> None:
    """Low energy means right on the first half of the tokens, and wrong on the second."""
    easy = np.arange(400) < 200
    right = np.stack([easy, np.ones(400), np.ones(400)]).astype(float)
    energy = np.zeros((3, 400))
    right[0, :100], energy[0, :100] = 0, 2
    of = Tokens((0, 8, 32), right, energy, energy, energy)
    assert halting.saved(of, "energy (Cor. 5)") == (0.0, 100.0)


# ---- T3 ----------------------------------------------------------------------------------------


def binned(change: float) -> list[list[int]]:
    """A trace's histogram with all tokens in the bin of one change."""
    return [[round((np.log10(change) - LOWEST) * PER_DECADE), 100]]


def probed(curvature: float) -> Made:
    """Curvatures around 1 but for a tenth of the tokens; step size 0.1, smoothness 2."""

    def made(seed: int) -> Side:
        least = np.ones((8, LENGTH))
        least[:, : LENGTH // 8] = curvature
        size = {"smoothness": 2.0, "step_size": 0.1}
        filled = {name: np.full((8, LENGTH), value) for name, value in size.items()}
        return {f"probe/{name}": v for name, v in {"curvature": least, **filled}.items()}

    return made


def traces(rate: float) -> dict[str, object]:
    """The median change falls by this rate an iteration."""
    change = {str(k): binned(0.1 * rate**k) for k in (4, 8)}
    return {str(LENGTH): {"change": change}}


def test_convex_tokens_that_contract_in_time_support_t3_on_trained_models(tmp_path: Path) -> None:
    found = parts("T3", evidence(tmp_path, probed(0.5), traces=traces(0.9)))
    convex = found[f"trained eqt, parity {LENGTH}: curvature above 0"]
    assert convex.headline and convex.verdict is Verdict.SUPPORTED and figure(convex) == 1
    rate = found[f"trained eqt, parity {LENGTH}: rate against max|1 − αλ|"]
    assert rate.verdict is Verdict.SUPPORTED
    assert figure(rate) == pytest.approx(0.95 - 0.9, abs=0.04)  # 1 − 0.1 · 0.5, up to a bin


def test_saddles_and_a_slow_descent_contradict_t3(tmp_path: Path) -> None:
    saddles = parts("T3", evidence(tmp_path / "a", probed(-1.0)))
    convex = saddles[f"trained eqt, parity {LENGTH}: curvature above 0"]
    assert convex.verdict is Verdict.CONTRADICTED
    assert figure(convex) == pytest.approx(100 * 7 / 8 - 99)
    slow = parts("T3", evidence(tmp_path / "b", probed(3.0), traces=traces(1.0)))
    rate = slow[f"trained eqt, parity {LENGTH}: rate against max|1 − αλ|"]
    assert rate.verdict is Verdict.CONTRADICTED


# ---- T6 and T7 ---------------------------------------------------------------------------------

Right = Callable[[str, str, int], float]
"""(row, split, seed) -> right tokens of 1,000."""


def sweep(folder: Path, preset: str, right: Right) -> Campaign:
    """Four rows on one length with scores on training and test rows."""
    rows = {"transformer": "transformer", "eqt": "eqt", "eqt-beta0": "eqt"}
    trials = [trial(row, LENGTH, s, method) for row, method in rows.items() for s in range(SEEDS)]
    records = []
    for asked in trials:
        asked.train["rows"] = 2048
        metrics = [
            [split, LENGTH, 0, "all", 0, "token", 1000, right(asked.row, split, asked.seed)]
            for split in ("train", "test")
        ]
        records.append(
            Record(
                trial=asked,
                status="ok",
                metrics=metrics,
                costs={"trained_iterations": 0},
                data={str(LENGTH): {"levels": {"chance": 0.5}}},
                environment={},
            )
        )
    return campaign(folder, trials, records)


def swept(folder: Path, right: Right, monkeypatch: pytest.MonkeyPatch) -> Evidence:
    """The sweep of fewest rows; no main preset."""
    made = {"small-samples-2k": sweep(folder, "small-samples-2k", right)}
    monkeypatch.setattr(Evidence, "campaign", lambda self, preset: made.get(preset))
    found = Evidence()
    found.__dict__["main"] = None
    return found


@pytest.mark.parametrize(
    ("without", "verdict"), [(80, Verdict.SUPPORTED), (10, Verdict.CONTRADICTED)]
)
def test_a_larger_gap_without_the_energy_supports_t6(
    without: float, verdict: Verdict, tmp_path: Path, monkeypatch
) -> None:
    """EqT's own gap is 4 points; without β it is 8, or 1."""

    def right(row: str, split: str, seed: int) -> float:
        return 800 + seed + (split == "train") * (without if row == "eqt-beta0" else 40)

    found = judge("T6", swept(tmp_path, right, monkeypatch)).headlines[0]
    assert found.verdict is verdict and figure(found) == pytest.approx(without / 10 - 4)


def of_eqt(points: float, level: float) -> Right:
    """EqT this far above the transformer, which is right on `level` of 1,000 tokens."""
    return lambda row, split, seed: level + 0.1 * seed + 10 * points * (row == "eqt")


@pytest.mark.parametrize(
    ("points", "level", "verdict"),
    [
        (1, 800, Verdict.SUPPORTED),
        (-1, 800, Verdict.SUPPORTED),
        (3, 800, Verdict.CONTRADICTED),
        (1, 510, Verdict.NOT_SUPPORTED),
        (30, 510, Verdict.CONTRADICTED),
    ],
)
def test_t7_is_two_points_of_a_transformer_that_learnt(
    points: float, level: float, verdict: Verdict, tmp_path: Path, monkeypatch
) -> None:
    found = judge("T7", swept(tmp_path, of_eqt(points, level), monkeypatch)).headlines[0]
    assert found.verdict is verdict and figure(found) == pytest.approx(points)
    assert f"transformer {level / 10:.1f} %, chance 50.0 %" in found.note
    assert ("alike in not learning" in found.note) == (verdict is Verdict.NOT_SUPPORTED)


# ---- all five ----------------------------------------------------------------------------------


def test_without_records_each_says_what_to_run() -> None:
    for name in TOKEN_CLAIMS:
        trained = [f for f in judge(name, Evidence()).findings if f.figure is None]
        assert trained and all("pytest bench/ --preset small" in f.note for f in trained)


def test_records_without_tokens_are_told_to_run_again(tmp_path: Path) -> None:
    """Such as those that were made before tokens were kept."""
    of = evidence(tmp_path, lambda seed: {})
    assert of.main is not None and tokens_of(of.main, of.main.records[0]) is None
    for name in ("T3", "T4", "C5"):
        trained = [f for f in judge(name, of).findings if "eqt" in f.part]
        assert trained and {f.verdict for f in trained} == {Verdict.NOT_RUN}


def test_only_scored_tokens_are_read(tmp_path: Path) -> None:
    of = evidence(tmp_path, halved, seeds=1)
    assert of.main is not None
    read = tokens_of(of.main, of.main.records[0])
    assert read is not None and read.right.shape == (len(BUDGETS), ROWS * (LENGTH - 1))
    assert read.budgets == BUDGETS and read.right[0].mean() == pytest.approx(7 / 15)


@pytest.mark.parametrize(("name", "made"), [("T4", following(1.0)), ("C5", halved)])
def test_a_plot_is_drawn_from_tokens(name: str, made: Made, tmp_path: Path) -> None:
    of = evidence(tmp_path, made)
    (drawn,) = plots(judge(name, of), of)
    assert isinstance(drawn, Drawing) and len(drawn.data)
