"""How often Gate 1 is wrong: simulated pairs of adapters with known true quality, graded by a judge with known noise.

    .venv/bin/python benchmarks/gate_error_rates.py --trials 2000

Each trial draws an eval set of n rows, 30% of them unanswerable. Candidate and live answer the same rows, and a row that is hard for one is
hard for the other (correlation below). The judge turns a grade into another one in a known share of rows. Both rule sets decide on the same
grades. "Worse" means that the true rates, after the judge's noise, differ by exactly the margin, the hardest case in which a pass is wrong.

Printed: share of passes with its 95% interval where the candidate is identical, worse by the margin, or better by 5 points; and how often
the printed interval of the A-rate's difference holds the true one.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass

import numpy

from controlplane.core import evidence, gates, interval_gate, intervals, judging

UNANSWERABLE = 0.30
LIVE_A = 0.80
LIVE_REFUSAL = 0.96
# Share of rows on which both roles draw the same luck.
SHARED_LUCK = 0.7
# Share of grades that the judge replaces by one drawn at random.
JUDGE_NOISE = 0.05
SIZES = (100, 300, 1000)


@dataclass(frozen=True)
class Case:
    """How much better than live the candidate truly is, as measured by the noisy judge: A-rate up, C-rate down."""

    name: str
    gain: float


CASES = (Case("identical", 0.0), Case("worse by the margin", -0.02), Case("better by 5 points", 0.05))


def one_role(generator: numpy.random.Generator, role: str, luck: numpy.ndarray, gain: float) -> list[judging.GradedRow]:
    """Rows of one role: right when its luck is below its rate. The gain is stretched so that it survives the judge's noise."""
    true_gain = gain / (1 - JUDGE_NOISE)
    unanswerable = round(UNANSWERABLE * len(luck))
    noise, drawn = generator.random(len(luck)), generator.integers(0, 2, len(luck))
    rows = []
    for number, value in enumerate(luck):
        is_answerable = number >= unanswerable
        is_right = value < (LIVE_A + true_gain if is_answerable else LIVE_REFUSAL)
        grade = "A" if is_right else "C"
        if noise[number] < JUDGE_NOISE:
            grade = "AC"[drawn[number]]
        rows.append(judging.GradedRow(str(number), role, "", "", "", is_answerable, "", grade, "", not is_answerable and is_right))
    return rows


def trial(generator: numpy.random.Generator, size: int, gain: float) -> tuple[list[judging.GradedRow], list[judging.GradedRow]]:
    shared = generator.random(size) < SHARED_LUCK
    first = generator.random(size)
    second = numpy.where(shared, first, generator.random(size))
    # Refusals do not change between the roles; the gain falls on the answerable rows and is spread over all of them.
    return one_role(generator, "candidate", first, gain / (1 - UNANSWERABLE)), one_role(generator, "live", second, 0.0)


def measure(size: int, case: Case, trials: int, seed: int) -> dict[str, object]:
    generator = numpy.random.default_rng(seed)
    outcomes: dict[str, Counter[str]] = {"point": Counter(), "interval": Counter()}
    held = 0
    thresholds = gates.AnswerThresholds()
    for _ in range(trials):
        candidate, live = trial(generator, size, case.gain)
        by_points = gates.evaluate_answers(judging.scores(candidate), judging.scores(live), thresholds)
        by_intervals = interval_gate.evaluate(candidate, live, thresholds)
        outcomes["point"][by_points.outcome] += 1
        outcomes["interval"][by_intervals.outcome] += 1
        drawn = by_intervals.checks[0].interval
        held += drawn is not None and drawn.low <= case.gain <= drawn.high
    return {
        "rows": size,
        "case": case.name,
        **{f"{name}_{outcome}": share(counter[outcome], trials) for name, counter in outcomes.items() for outcome in evidence.Outcome},
        "coverage": share(held, trials),
    }


def share(part: int, whole: int) -> list[float]:
    """Share, and its 95% interval."""
    interval = intervals.rate(part, whole)
    assert interval is not None
    return [round(value, 4) for value in (part / whole, interval.low, interval.high)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    for size in arguments.sizes:
        for case in CASES:
            print(json.dumps(measure(size, case, arguments.trials, arguments.seed)), flush=True)


if __name__ == "__main__":
    main()
