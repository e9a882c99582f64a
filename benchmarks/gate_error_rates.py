"""How often Gate 1 is wrong, and what looks save: simulated adapters of known quality, graded by a judge of known error. Asks no model.

    .venv/bin/python benchmarks/gate_error_rates.py

Each trial draws an eval set of n rows, 30% of them unanswerable. Candidate and live answer the same rows, and a row that is hard for one is
hard for the other. The judge turns A into C and C into A in a known share of rows; refusals are counted without a judge. Three rules decide
on the same grades: `point`, `interval`, and `interval` in looks, which stops at the first look that decides. "A alone" is the check of the
A-rate by itself, which no other check that is still open keeps from passing; "any look": it passes at one of the looks at least.

Judge errors pull a difference of grades towards zero: of a true difference d, (1 - 2 error) d is left. So a candidate that is truly worse
by the margin looks less than the margin worse, and no rule that sees only grades can know: its false passes grow with n and with the error.
"worse in grades" is the one whose grades differ by the whole margin. Coverage is of the difference of grades, of which an interval speaks.

Exit status 1 when a requirement is not shown: the interval rules, and the check of the A-rate alone, pass a candidate that is worse by the
margin in at most 5% of trials (95% upper bound at most 6%); intervals of 95% hold the truth in 95% of trials (lower bound at least 94%).
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent import futures
from dataclasses import asdict, dataclass

import numpy
import simulated

from controlplane.core import evidence, gates, interval_gate, intervals, judging, row_order, sequential

UNANSWERABLE = 0.30
LIVE_A = 0.80
LIVE_REFUSAL = 0.96
# Share of rows on which both roles draw the same luck.
SHARED_LUCK = 0.7
SIZES = (100, 300, 1000)
JUDGE_ERRORS = (0.0, 0.10)
LOOKS = 3
TRIALS_AT_ONCE = 1000
# Of each thousand, so many are also decided on rows by the gate itself.
TRIALS_BY_ROWS = 5
THRESHOLDS = gates.AnswerThresholds()
MOST_FALSE_PASSES, BOUND_OF_FALSE_PASSES, BOUND_OF_COVERAGE = 0.05, 0.06, 0.94

# Outcomes do not depend on how many more rows would decide, which takes longest to find.
intervals.rows_to_decide = intervals.rows_to_decide_rate = lambda *_: None


@dataclass(frozen=True)
class Case:
    """`gain`: how much better than live the candidate truly is, A-rate up and C-rate down. `is_as_graded`: so much better in its grades."""

    name: str
    gain: float
    is_as_graded: bool = False


CASES = (
    Case("identical", 0.0),
    Case("worse by the margin", -THRESHOLDS.margin),
    Case("worse in grades", -THRESHOLDS.margin, is_as_graded=True),
    Case("worse by 10 points", -0.10),
    Case("better by 5 points", 0.05),
)


@dataclass(frozen=True)
class Cell:
    rows: int
    judge_error: float
    case: Case
    trials: int
    looks: int
    seed: int

    @property
    def true_gain(self) -> float:
        return self.case.gain / (1 - 2 * self.judge_error) if self.case.is_as_graded else self.case.gain

    @property
    def graded_gain(self) -> float:
        return self.true_gain * (1 - 2 * self.judge_error)


@dataclass(frozen=True)
class Trial:
    """What one trial came to. `holds`: for each interval of one look, whether it holds the truth."""

    point: evidence.Outcome
    interval: evidence.Outcome
    in_looks: evidence.Outcome
    judged_rows: int
    a_passes: bool
    a_passes_at_any_look: bool
    a_holds: bool
    refusal_difference_holds: bool
    refusal_rate_holds: bool
    a_holds_at_every_look: bool


@dataclass(frozen=True)
class Result:
    cell: Cell
    shares: dict[str, simulated.Share]
    saved: float


RULES = ("point", "interval", "in_looks")
ALONE = ("a_passes", "a_passes_at_any_look")
COVERAGE = ("a_holds", "refusal_difference_holds", "refusal_rate_holds", "a_holds_at_every_look")


def measure(cell: Cell) -> Result:
    generator = numpy.random.default_rng([cell.seed, cell.rows, round(1000 * cell.judge_error), CASES.index(cell.case)])
    trials = [trial for size in chunks(cell.trials) for trial in judge_all(draw(generator, cell, size), cell)]
    flags = {
        **{f"{rule}_{outcome}": [getattr(one, rule) is outcome for one in trials] for rule in RULES for outcome in evidence.Outcome},
        **{name: [getattr(one, name) for one in trials] for name in (*ALONE, *COVERAGE)},
    }
    saved = 1 - sum(one.judged_rows for one in trials) / (cell.rows * cell.trials)
    return Result(cell, {name: simulated.Share(sum(found), cell.trials) for name, found in flags.items()}, saved)


def chunks(trials: int) -> Iterator[int]:
    for start in range(0, trials, TRIALS_AT_ONCE):
        yield min(TRIALS_AT_ONCE, trials - start)


@dataclass(frozen=True)
class Drawn:
    """Eval sets as both roles answered them: a line each, a column for each row, in the order in which the judge takes them."""

    ids: list[str]
    is_answerable: numpy.ndarray
    candidate_graded_right: numpy.ndarray
    live_graded_right: numpy.ndarray
    candidate_refused: numpy.ndarray
    live_refused: numpy.ndarray


def draw(generator: numpy.random.Generator, cell: Cell, trials: int) -> Drawn:
    """Refusals do not differ; the gain falls on answerable rows and is spread over all. A row is answered right when its luck is below
    the role's rate; graded so, save where the judge errs."""
    shape = (trials, cell.rows)
    ids = row_order.order(str(number) for number in range(cell.rows))
    is_answerable = numpy.array([int(one) >= round(UNANSWERABLE * cell.rows) for one in ids])
    luck = generator.random(shape)
    live_luck = numpy.where(generator.random(shape) < SHARED_LUCK, luck, generator.random(shape))
    is_right = luck < numpy.where(is_answerable, LIVE_A + cell.true_gain / (1 - UNANSWERABLE), LIVE_REFUSAL)
    is_live_right = live_luck < numpy.where(is_answerable, LIVE_A, LIVE_REFUSAL)
    return Drawn(
        ids,
        is_answerable,
        is_right ^ (generator.random(shape) < cell.judge_error),
        is_live_right ^ (generator.random(shape) < cell.judge_error),
        is_right & ~is_answerable,
        is_live_right & ~is_answerable,
    )


@dataclass(frozen=True)
class Counted:
    """Of one trial. `grades`: rows right for the candidate only, and for live only, at each look; `refusals`: the same, of all rows."""

    right: int
    live_right: int
    refused: int
    live_refused: int
    grades: tuple[tuple[int, int], ...]
    refusals: tuple[int, int]


def count(drawn: Drawn, sizes: Sequence[int]) -> list[Counted]:
    sums = (drawn.candidate_graded_right, drawn.live_graded_right, drawn.candidate_refused, drawn.live_refused)
    looks = [only_one(drawn.candidate_graded_right[:, :size], drawn.live_graded_right[:, :size]) for size in sizes]
    refusals = only_one(drawn.candidate_refused, drawn.live_refused)
    columns = (*(found.sum(axis=1).tolist() for found in sums), zip(*looks, strict=True), refusals)
    return [Counted(*values) for values in zip(*columns, strict=True)]


def only_one(candidate: numpy.ndarray, live: numpy.ndarray) -> list[tuple[int, int]]:
    return list(zip((candidate & ~live).sum(axis=1).tolist(), (live & ~candidate).sum(axis=1).tolist(), strict=True))


def judge_all(drawn: Drawn, cell: Cell) -> list[Trial]:
    """By the counts, with the gate's own checks; the first trials by the gate itself too, on rows, to see that it says the same."""
    trials = [judge_once(counted, cell) for counted in count(drawn, sequential.look_sizes(cell.rows, cell.looks))]
    for number, one in enumerate(trials[:TRIALS_BY_ROWS]):
        assert by_rows(drawn, number, cell) == (one.point, one.interval, one.in_looks, one.judged_rows)
    return trials


def judge_once(counted: Counted, cell: Cell) -> Trial:
    sizes, unanswerable = sequential.look_sizes(cell.rows, cell.looks), round(UNANSWERABLE * cell.rows)
    own = scores(cell.rows, counted.right, unanswerable, counted.refused)
    live = scores(cell.rows, counted.live_right, unanswerable, counted.live_refused)
    refusals = refusal_checks(unanswerable, *counted.refusals, counted.refused)
    whole = grade_checks(cell.rows, *counted.grades[-1], THRESHOLDS.level)
    levels = sequential.levels(cell.looks, THRESHOLDS.level)
    looks = [grade_checks(size, *found, level) for size, found, level in zip(sizes, counted.grades, levels, strict=True)]
    outcomes = [combined(grades, refusals) for grades in looks]
    stop = next((at for at, outcome in enumerate(outcomes) if outcome is not evidence.Outcome.INCONCLUSIVE), cell.looks - 1)
    return Trial(
        point=gates.evaluate_answers(own, live, THRESHOLDS).outcome,
        interval=combined(whole, refusals),
        in_looks=outcomes[stop],
        judged_rows=sizes[stop],
        a_passes=whole[0].outcome is evidence.Outcome.PASS,
        a_passes_at_any_look=any(grades[0].outcome is evidence.Outcome.PASS for grades in looks),
        a_holds=holds(whole[0], cell.graded_gain),
        refusal_difference_holds=holds(refusals[0], 0.0),
        refusal_rate_holds=holds(refusals[1], LIVE_REFUSAL),
        a_holds_at_every_look=all(holds(grades[0], cell.graded_gain) for grades in looks),
    )


def scores(rows: int, right: int, unanswerable: int, refused: int) -> judging.AnswerScores:
    return judging.AnswerScores(rows, rows, 0, right / rows, 0.0, 1 - right / rows, refused / unanswerable, 0.0, unanswerable)


@functools.cache
def grade_checks(rows: int, gained: int, lost: int, level: float) -> tuple[evidence.Check, ...]:
    """There is no B, so that a row gained for A is one lost for C."""
    pairs = judging.PairedScores(judging.Pairs(rows, gained, lost), judging.Pairs(rows, lost, gained), judging.Pairs(0, 0, 0))
    return tuple(one.check for one in interval_gate.grade_checks(pairs, THRESHOLDS, level))


@functools.cache
def refusal_checks(unanswerable: int, gained: int, lost: int, refused: int) -> tuple[evidence.Check, ...]:
    own = scores(unanswerable, 0, unanswerable, refused)
    return tuple(one.check for one in interval_gate.refusal_checks(judging.Pairs(unanswerable, gained, lost), own, THRESHOLDS))


@functools.cache
def combined(grades: tuple[evidence.Check, ...], refusals: tuple[evidence.Check, ...]) -> evidence.Outcome:
    return evidence.combine(evidence.Gate.EVALUATION, evidence.RuleSet.INTERVAL, (*grades, *refusals)).outcome


def by_rows(drawn: Drawn, number: int, cell: Cell) -> tuple[evidence.Outcome, evidence.Outcome, evidence.Outcome, int]:
    """A trial as the gate's jobs decide it: from graded rows."""
    candidate = graded_rows("candidate", drawn, drawn.candidate_graded_right[number], drawn.candidate_refused[number])
    live = graded_rows("live", drawn, drawn.live_graded_right[number], drawn.live_refused[number])
    look = sequential.decide(candidate, live, THRESHOLDS, cell.looks)
    point = gates.evaluate_answers(judging.scores(candidate), judging.scores(live), THRESHOLDS)
    return point.outcome, interval_gate.evaluate(candidate, live, THRESHOLDS).outcome, look.verdict.outcome, look.rows


def graded_rows(role: str, drawn: Drawn, is_right: numpy.ndarray, is_refusal: numpy.ndarray) -> list[judging.GradedRow]:
    columns = zip(drawn.ids, drawn.is_answerable.tolist(), is_right.tolist(), is_refusal.tolist(), strict=True)
    return [
        judging.GradedRow(one, role, "", "", "", answerable, "", "A" if right else "C", "", refusal)
        for one, answerable, right, refusal in columns
    ]


def holds(check: evidence.Check, truth: float) -> bool:
    return check.interval is not None and check.interval.low <= truth <= check.interval.high


def violations(result: Result) -> Iterator[str]:
    """What a cell fails to show, one sentence each."""
    cell, where = result.cell, f"n={result.cell.rows}, judge error {result.cell.judge_error:.0%}, {result.cell.case.name}"
    if cell.case.gain <= -THRESHOLDS.margin:
        for name in ("interval_pass", "in_looks_pass", *ALONE):
            share = result.shares[name]
            if share.value > MOST_FALSE_PASSES or share.high > BOUND_OF_FALSE_PASSES:
                yield f"{where}: {name} {share.value:.2%} (upper bound {share.high:.2%}) is too often a false pass."
    for name in COVERAGE:
        if result.shares[name].low < BOUND_OF_COVERAGE:
            yield f"{where}: {name} {result.shares[name].value:.2%} (lower bound {result.shares[name].low:.2%}) is not shown to cover."


def cells(arguments: argparse.Namespace) -> list[Cell]:
    return [
        Cell(size, judge_error, case, arguments.trials, arguments.looks, arguments.seed)
        for size in arguments.sizes
        for judge_error in arguments.judge_errors
        for case in CASES
        if judge_error or not case.is_as_graded
    ]


HEADER = (
    f"{'n':>5} {'judge':>5}  {'candidate':<20}|{'passes: point':>14} {'interval':>12} {'in looks':>12} "
    f"|{'A alone: one':>13} {'any look':>12} |{'fails: one':>11} {'looks':>6} |{'saved':>6} "
    f"|{'coverage: A':>12} {'refusal':>8} {'rate':>6} {'A, all looks':>12}"
)


def line(result: Result) -> str:
    """Shares in percent; where a pass is wrong, the upper bound stands in brackets."""
    cell, shares = result.cell, result.shares

    def pass_of(name: str) -> str:
        bound = f" (<{100 * shares[name].high:.1f})" if cell.case.gain < 0 else ""
        return f"{100 * shares[name].value:.1f}{bound}"

    def percent(name: str) -> str:
        return f"{100 * shares[name].value:.1f}"

    return (
        f"{cell.rows:>5} {cell.judge_error:>5.0%}  {cell.case.name:<20}|{pass_of('point_pass'):>14} {pass_of('interval_pass'):>12} "
        f"{pass_of('in_looks_pass'):>12} |{pass_of('a_passes'):>13} {pass_of('a_passes_at_any_look'):>12} "
        f"|{percent('interval_fail'):>11} {percent('in_looks_fail'):>6} |{100 * result.saved:>5.1f}% |{percent('a_holds'):>12} "
        f"{percent('refusal_difference_holds'):>8} {percent('refusal_rate_holds'):>6} {percent('a_holds_at_every_look'):>12}"
    )


def as_json(result: Result) -> str:
    shares = {name: [round(value, 4) for value in (one.value, one.low, one.high)] for name, one in result.shares.items()}
    return json.dumps({**asdict(result.cell), "shares": shares, "judge_calls_saved": round(result.saved, 4)})


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=20_000, help="simulated evaluations a line; few leave the bounds too wide")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="rows of an eval set")
    parser.add_argument("--judge-errors", type=float, nargs="+", default=JUDGE_ERRORS, help="share of grades that the judge turns")
    parser.add_argument("--looks", type=int, default=LOOKS, help="looks of the third rule")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON object a line; shares as [value, lower bound, upper bound]")
    arguments = parser.parse_args()
    if not arguments.json:
        print(f"{arguments.trials} trials a line, {arguments.looks} looks; percent\n{HEADER}", flush=True)
    found = []
    with futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(measure, cells(arguments)):
            print(as_json(result) if arguments.json else line(result), flush=True)
            found += violations(result)
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
