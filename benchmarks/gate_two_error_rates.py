"""How often Gate 2 is wrong about speed: simulated servers whose true speed is known, measured as a load test measures. Sends nothing.

    .venv/bin/python benchmarks/gate_two_error_rates.py

Each trial is one test in blocks A-B-A-B with n requests of each role. "P95" lines: times of a known distribution, in order, independent
or not: `correlated` shares 60% of its variance with neighbours about 10 requests away (one round of 10 clients), `slow waves` about 30;
`stalls`: now and then ten requests in a row take twice as long; `drift`: the server slows down, or recovers, by 20% over the test. The
candidate's times are live's distribution times a factor: identical 1.00, on the edge 1.15 (the most that may pass), slower 1.20. Three
ways to decide on the P95 alone: `point`, `interval`, and `buckets`: the point rule on a P95 read off vLLM's default histogram as Prometheus
does. "plain" is the coverage of the textbook's interval of one role's P95, which takes all requests for independent.

"throughput" lines: a closed loop of 10 clients, each asking again when it is answered; candidate on the edge of 0.85, or at 1/1.20.
"gate" lines: whole verdicts of all eight checks, from samples.

Exit status 1 when a requirement is not shown: of candidates on the edge the interval rule passes at most 5% (95% upper bound at most 6%),
of identical ones it fails at most 5%, and intervals of 95% hold the truth no more rarely than that (upper bound at least 95%). Coverage
is shown, not required, under slow waves and stalls: a test that sees a handful of them cannot know how they spread.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy
import simulated
from scipy import signal, stats

from controlplane.core import drift, estimates, evidence, gates, latency, load_gate, load_measures, percentiles, throughput

ORDER = (latency.CANDIDATE, latency.LIVE) * 2
SIZES = (50, 100, 300, 1000)
THRESHOLDS = gates.LoadThresholds()
LATENCY_LIMIT = load_gate.Limit("P95 latency", "<=", THRESHOLDS.latency_regression_factor, "x", "baseline")
THROUGHPUT_LIMIT = load_gate.Limit("throughput", ">=", THRESHOLDS.throughput_regression_factor, "x", "baseline")
FACTORS = {"identical": 1.0, "edge": THRESHOLDS.latency_regression_factor, "slower": 1.20}
# The P95 of live: with the default buckets a rise by 19% from there cannot be seen.
P95_SECONDS = 3.16
BUCKETS = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0)
CLIENTS = 10
TRIALS_AT_ONCE = 250
GATE_SIZES = (400, 1000)
MOST_WRONG, BOUND_OF_WRONG, COVERAGE = 0.05, 0.06, 0.95
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Quantiles = Callable[[numpy.ndarray], numpy.ndarray]


def bimodal(shares: numpy.ndarray) -> numpy.ndarray:
    """Six of seven are answered from the prefix cache, the others take three times as long."""
    places = numpy.linspace(0, 12, 20_000)
    cumulated = 6 / 7 * stats.norm.cdf(places, 1, 0.15) + 1 / 7 * stats.norm.cdf(places, 3, 0.4)
    return numpy.asarray(numpy.maximum(0.05, numpy.interp(shares, cumulated, places)))


DISTRIBUTIONS: dict[str, Quantiles] = {
    "lognormal": lambda shares: numpy.asarray(stats.lognorm.ppf(shares, 0.3)),
    "gamma": lambda shares: numpy.asarray(stats.gamma.ppf(shares, 6)),
    "heavy tail": lambda shares: numpy.asarray(1 + stats.lomax.ppf(shares, 3)),
    "bimodal": bimodal,
}


@dataclass(frozen=True)
class World:
    """`shared`: part of the variance in common with neighbours `reach` requests away; `drift`: growth of log time over the test."""

    name: str
    distribution: str = "lognormal"
    shared: float = 0.0
    reach: int = 1
    drift: float = 0.0
    stalls: bool = False

    @property
    def is_hard(self) -> bool:
        """Waves so long, or stalls so rare, that a test sees only a few of them."""
        return self.stalls or self.reach > 2 * CLIENTS


WORLDS = (
    World("lognormal"),
    World("gamma", "gamma"),
    World("heavy tail", "heavy tail"),
    World("bimodal", "bimodal"),
    World("correlated", shared=0.6, reach=10),
    World("correlated bimodal", "bimodal", shared=0.6, reach=10),
    World("slow waves", shared=0.6, reach=30),
    World("stalls", stalls=True),
    World("slows down", drift=0.2),
    World("recovers", drift=-0.2),
    World("drift, correlated", shared=0.6, reach=10, drift=0.2),
)
LOOPS = (
    World("independent"),
    World("correlated", shared=0.6, reach=10),
    World("slow waves", shared=0.6, reach=30),
    World("slows down", drift=0.2),
    World("recovers", drift=-0.2),
)


@dataclass(frozen=True)
class Cell:
    kind: str
    world: World
    requests: int
    trials: int
    seed: int


@dataclass(frozen=True)
class Result:
    cell: Cell
    shares: dict[str, simulated.Share]


def measure(cell: Cell) -> Result:
    worlds = (*WORLDS, *LOOPS)
    generator = numpy.random.default_rng([cell.seed, cell.requests, worlds.index(cell.world), KINDS.index(cell.kind)])
    one_trial = {"P95": p95_trials, "throughput": throughput_trials, "gate": gate_trials}[cell.kind]
    trials = [trial for size in chunks(cell.trials) for trial in one_trial(generator, cell, size)]
    return Result(cell, {name: simulated.Share(sum(trial[name] for trial in trials), cell.trials) for name in trials[0]})


KINDS = ("P95", "throughput", "gate")


def chunks(trials: int) -> Iterator[int]:
    for start in range(0, trials, TRIALS_AT_ONCE):
        yield min(TRIALS_AT_ONCE, trials - start)


def draw(generator: numpy.random.Generator, world: World, trials: int, requests: int) -> numpy.ndarray:
    """Times of whole tests: trials x requests, in the order in which they are due, with a P95 of one where nothing drifts or stalls."""
    normal = generator.standard_normal((trials, requests))
    if world.shared:
        normal = math.sqrt(world.shared) * waves(generator, world, trials, requests) + math.sqrt(1 - world.shared) * normal
    quantiles = DISTRIBUTIONS[world.distribution]
    times = quantiles(stats.norm.cdf(normal)) / quantiles(numpy.array([0.95]))[0]
    if world.stalls:
        times *= 1 + (signal.lfilter(numpy.ones(10), [1.0], generator.random((trials, requests)) < 0.005) > 0)
    return numpy.asarray(times * numpy.exp(world.drift * numpy.arange(requests) / requests))


def waves(generator: numpy.random.Generator, world: World, trials: int, requests: int) -> numpy.ndarray:
    """Standard normal, each keeping exp(-1/reach) of the one before."""
    kept = math.exp(-1 / world.reach)
    steps = generator.standard_normal((trials, requests))
    steps[:, 0] /= math.sqrt(1 - kept**2)
    return numpy.asarray(signal.lfilter([math.sqrt(1 - kept**2)], [1.0, -kept], steps))


@functools.cache
def true_p95(world: World) -> float:
    """Of the candidate's requests, over all tests."""
    times = draw(numpy.random.default_rng(1), world, 400, 4000).reshape(400, 4, 1000)
    return float(numpy.percentile(times[:, ::2], 95))


def p95_trials(generator: numpy.random.Generator, cell: Cell, trials: int) -> Iterator[dict[str, bool]]:
    """Interval and point rule are equivariant: a slower candidate has the ratio of an identical one, times the factor."""
    each = cell.requests // 2
    times = P95_SECONDS * draw(generator, cell.world, trials, 4 * each).reshape(trials, 4, each)
    truth = P95_SECONDS * true_p95(cell.world)
    due = numpy.arange(4.0 * each).reshape(4, each)
    for number, test in enumerate(times):
        own, live = (percentiles.estimate([*test[at::2]], load_measures.PERCENT, THRESHOLDS.level) for at in (0, 1))
        assert own is not None
        assert live is not None
        found = drift.find(*([drift.Times(due[at], test[at]) for at in range(side, 4, 2)] for side in (0, 1)))
        ratio = drift.without(estimates.ratio(own, live), found, THRESHOLDS.level)
        if number == 0:
            assert ratio == by_samples(test, due)
        yield {
            "plain_holds": plain_holds(test[::2], truth),
            "holds": own.low <= truth <= own.high,
            "ratio_holds": ratio.low <= 1 <= ratio.high,
            **p95_outcomes(ratio, own.value / live.value, test),
        }


def plain_holds(times: numpy.ndarray, truth: float) -> bool:
    """Whether the interval that takes all requests for independent holds the truth."""
    fewest, most = plain_ranks(times.size)
    return bool(fewest <= (times < truth).sum() <= most)


@functools.cache
def plain_ranks(requests: int) -> tuple[float, float]:
    tail = (1 - THRESHOLDS.level) / 2
    return float(stats.binom.ppf(tail, requests, 0.95)), float(stats.binom.ppf(1 - tail, requests, 0.95))


def p95_outcomes(ratio: estimates.Estimate, point: float, test: numpy.ndarray) -> dict[str, bool]:
    flags = {}
    for case, factor in FACTORS.items():
        outcome = load_gate.outcome(estimates.scaled(ratio, factor, 0.0), LATENCY_LIMIT)
        read = bucketed(factor * test[::2]) / bucketed(test[1::2])
        flags |= {
            f"{case}_interval_pass": outcome is evidence.Outcome.PASS,
            f"{case}_interval_fail": outcome is evidence.Outcome.FAIL,
            f"{case}_point_pass": factor * point <= LATENCY_LIMIT.value,
            f"{case}_buckets_pass": read <= LATENCY_LIMIT.value,
        }
    return flags


def bucketed(times: numpy.ndarray) -> float:
    """The P95 as `histogram_quantile` interpolates it within its bucket."""
    below = numpy.searchsorted(numpy.sort(times, axis=None), BUCKETS, side="right")
    rank = 0.95 * times.size
    at = int(numpy.searchsorted(below, rank))
    if at == len(BUCKETS):
        return BUCKETS[-1]
    first, low = (int(below[at - 1]), BUCKETS[at - 1]) if at else (0, 0.0)
    return float(low + (BUCKETS[at] - low) * (rank - first) / (below[at] - first))


def by_samples(test: numpy.ndarray, due: numpy.ndarray) -> estimates.Estimate | None:
    """The ratio as the gate's job finds it: from samples."""
    samples = [
        latency.Sample(float(due[block, at]), None, float(taken), 1, role=ORDER[block], block=block)
        for block in range(4)
        for at, taken in enumerate(test[block])
    ]
    whole = latency.LoadTest(tuple(samples), (), NOW, NOW, "count")
    rng = numpy.random.default_rng(0)
    sides = [load_measures.measure(whole, role, THRESHOLDS, rng) for role in ORDER[:2]]
    return load_measures.compare(sides[0], sides[1], THRESHOLDS.level).p95_latency


@dataclass(frozen=True)
class Loop:
    """A block of closed loops, a line each: when requests were due and how long they took. The first of each client does not count."""

    due: numpy.ndarray
    taken: numpy.ndarray
    ended: numpy.ndarray

    @property
    def steady(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        return self.due[:, CLIENTS], self.due[:, -1]


def closed_loops(generator: numpy.random.Generator, world: World, trials: int, requests: int) -> list[Loop]:
    """The blocks of tests, each begun when the one before was over."""
    each = requests // 2 + CLIENTS
    times = draw(generator, world, trials, 4 * each).reshape(trials, 4, each)
    loops, begins = [], numpy.zeros(trials)
    for block in range(4):
        loops.append(closed_loop(times[:, block], begins))
        begins = loops[-1].ended.max(axis=1)
    return loops


def closed_loop(taken: numpy.ndarray, begins: numpy.ndarray) -> Loop:
    trials, requests = taken.shape
    free, due, lines = numpy.repeat(begins[:, None], CLIENTS, axis=1), numpy.empty_like(taken), numpy.arange(trials)
    for at in range(requests):
        client = free.argmin(axis=1)
        due[:, at] = free[lines, client]
        free[lines, client] += taken[:, at]
    return Loop(due, taken, due + taken)


@functools.cache
def true_throughput(world: World) -> float:
    return CLIENTS / float(draw(numpy.random.default_rng(1), world, 400, 4000).mean())


def throughput_trials(generator: numpy.random.Generator, cell: Cell, trials: int) -> Iterator[dict[str, bool]]:
    loops = closed_loops(generator, cell.world, trials, cell.requests)
    truth = true_throughput(cell.world)
    for at in range(trials):
        blocks = [slices(loop, at) for loop in loops]
        own, live = (throughput.of_slices(blocks[side::2], THRESHOLDS.level, generator) for side in (0, 1))
        found = drift.find(*([drift.Times(one.middles, one.counts / one.seconds) for one in blocks[side::2]] for side in (0, 1)))
        ratio = drift.without(estimates.ratio(own, live), found, THRESHOLDS.level)
        flags = {"ratio_holds": ratio.low <= 1 <= ratio.high}
        if not cell.world.drift:
            flags["holds"] = own.low <= truth <= own.high
        for case, factor in {"identical": 1.0, "edge": THROUGHPUT_LIMIT.value, "slower": 1 / FACTORS["slower"]}.items():
            outcome = load_gate.outcome(estimates.scaled(ratio, factor, 0.0), THROUGHPUT_LIMIT)
            flags |= {
                f"{case}_interval_pass": outcome is evidence.Outcome.PASS,
                f"{case}_interval_fail": outcome is evidence.Outcome.FAIL,
                f"{case}_point_pass": factor * own.value / live.value >= THROUGHPUT_LIMIT.value,
            }
        yield flags


def slices(loop: Loop, at: int) -> throughput.Slices:
    first, last = (float(one[at]) for one in loop.steady)
    ended = loop.ended[at]
    is_in = (ended >= first) & (ended < last)
    return throughput.cut(ended[is_in], first, last, float(loop.taken[at][is_in].mean()))


def gate_trials(generator: numpy.random.Generator, cell: Cell, trials: int) -> Iterator[dict[str, bool]]:
    """Times to the first token are a fifth of the whole, so that both checks of latency go together."""
    loops = closed_loops(generator, cell.world, trials, cell.requests)
    for at in range(trials):
        flags = {}
        for case, factor in FACTORS.items():
            test = as_test(loops, at, factor)
            sides = [load_measures.measure(test, role, THRESHOLDS, generator) for role in ORDER[:2]]
            for rules, verdict in load_gate.evaluate_both(*sides, THRESHOLDS, None).items():
                flags |= {
                    f"{case}_{rules}_{outcome}": verdict.outcome is outcome for outcome in (evidence.Outcome.PASS, evidence.Outcome.FAIL)
                }
        yield flags


def as_test(loops: Sequence[Loop], at: int, factor: float) -> latency.LoadTest:
    samples: list[latency.Sample] = []
    blocks: list[latency.Block] = []
    for number, (loop, role) in enumerate(zip(loops, ORDER, strict=True)):
        begins, times = blocks[-1].ended_seconds if blocks else 0.0, factor if role == latency.CANDIDATE else 1.0
        since = loop.due[at] - loop.due[at, 0]
        pairs = zip((begins + times * since).tolist(), (times * loop.taken[at]).tolist(), strict=True)
        own = [
            latency.Sample(due, taken / 5, taken, 16, "stop", role=role, block=number, is_counted=place >= CLIENTS)
            for place, (due, taken) in enumerate(pairs)
        ]
        ended = max(one.at_seconds + one.total_seconds for one in own)
        blocks.append(latency.Block(number, role, own[CLIENTS].at_seconds, own[-1].at_seconds, ended))
        samples += own
    return latency.LoadTest(tuple(samples), tuple(blocks), NOW, NOW, "count")


def violations(result: Result) -> Iterator[str]:
    """What a cell fails to show, one sentence each. Whole verdicts are too few to show more than that they are not far off."""
    cell, where = result.cell, f"{result.cell.kind}, {result.cell.world.name}, n={result.cell.requests}"
    for name in ("edge_interval_pass", "slower_interval_pass", "identical_interval_fail"):
        share = result.shares[name]
        if share.value > MOST_WRONG or (cell.kind != "gate" and share.high > BOUND_OF_WRONG):
            yield f"{where}: {name} {share.value:.2%} (upper bound {share.high:.2%}) is too often."
    for name in ("holds", "ratio_holds"):
        share = result.shares.get(name)
        if share and share.high < COVERAGE and not cell.world.is_hard:
            yield f"{where}: {name} {share.value:.2%} (upper bound {share.high:.2%}) covers too rarely."


def cells(arguments: argparse.Namespace) -> list[Cell]:
    few = max(1, arguments.trials // 40)
    found = [Cell("P95", world, size, arguments.trials, arguments.seed) for world in WORLDS for size in arguments.sizes]
    found += [Cell("throughput", world, size, arguments.trials, arguments.seed) for world in LOOPS for size in arguments.sizes]
    found += [Cell("gate", world, size, few, arguments.seed) for world in LOOPS[:2] for size in GATE_SIZES]
    return [cell for cell in found if not arguments.worlds or cell.world.name in arguments.worlds]


HEADER = (
    f"{'':<35} |{'identical passes':^22}|{'fails':^8}|{'edge passes':^29}|{'20% slower passes':^22}|{'fails':^8}|{'coverage':^23}\n"
    f"{'what':<11}{'world':<19}{'n':>5} |{'point':>6}{'interval':>9}{'buckets':>7}|{'interval':>8}"
    f"|{'point':>6}{'interval':>16}{'buckets':>7}|{'point':>6}{'interval':>9}{'buckets':>7}|{'interval':>8}|{'plain':>7}{'own':>7}{'ratio':>7}"
)


def line(result: Result) -> str:
    """Shares in percent; the edge's with their upper bound."""
    cell, shares = result.cell, result.shares

    def percent(name: str) -> str:
        return f"{100 * shares[name].value:.1f}" if name in shares else "-"

    def passes(case: str, width: int = 9, bound: str = "") -> str:
        interval = percent(f"{case}_interval_pass") + bound
        return f"{percent(f'{case}_point_pass'):>6}{interval:>{width}}{percent(f'{case}_buckets_pass'):>7}"

    bound = f" (<{100 * shares['edge_interval_pass'].high:.1f})"
    return (
        f"{cell.kind:<11}{cell.world.name:<19}{cell.requests:>5} |{passes('identical')}|{percent('identical_interval_fail'):>8}"
        f"|{passes('edge', 16, bound)}|{passes('slower')}|{percent('slower_interval_fail'):>8}"
        f"|{percent('plain_holds'):>7}{percent('holds'):>7}{percent('ratio_holds'):>7}"
    )


def as_json(result: Result) -> str:
    cell = result.cell
    shares = {name: [round(value, 4) for value in (one.value, one.low, one.high)] for name, one in result.shares.items()}
    return json.dumps({"kind": cell.kind, "world": cell.world.name, "requests": cell.requests, "trials": cell.trials, "shares": shares})


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--trials", type=int, default=2000, help="simulated tests a line, a fortieth for whole verdicts; few leave bounds too wide"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="requests of each role")
    parser.add_argument("--worlds", nargs="+", default=(), help="only these worlds, by name")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON object a line; shares as [value, lower bound, upper bound]")
    arguments = parser.parse_args()
    if not arguments.json:
        print(f"{arguments.trials} trials a line; percent\n{HEADER}", flush=True)
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
