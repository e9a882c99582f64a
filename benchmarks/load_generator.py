"""How exactly our load generator times answers, what rate it holds and what it costs, beside guidellm, aiperf and `vllm bench serve`.

    .venv/bin/python benchmarks/load_generator.py --peers /tmp/peers --tokenizer ~/.gatewright/models/smollm2-135m-instruct

A stub in a process of its own (`stub_timed.py`) answers at known times and records what it really did. All clients do the same: a closed
loop with the same questions. Ours is held against the stub answer by answer; a peer's own report, which knows no single answer's name, by
the difference between its percentile and the stub's, which is at most as large. From the stub come also

    rate held = answers / (last answer's end - first request) / (concurrency / service time)

and the time in which CPU is counted: from the first request to the last answer, of the client and all its processes, so that no start of
Python and no report weighs on anybody. The stub has one CPU, as if it were another machine, and each client has all others: where both may
run on one, a client's wait for the stub's turn to end counts as its error (--together shows it).

Without --peers only ours runs. It exits 1, and says so in sentences, when a target is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import load_peers
import numpy
import psutil
import stub_timed

HERE = Path(__file__).parent
OURS = "gatewright"
# Concurrency and requests: enough for a 99th percentile, and whole rounds, so that the last one is no smaller.
LOADS = {1: 120, 10: 600, 100: 4000, 500: 10000}
LOOK_SECONDS, LOOKS_A_FAMILY = 0.02, 25
MOST_SECONDS = 300.0
# At a concurrency: most p99 error of TTFT and of end-to-end, and least share of the ideal rate.
MOST_ERROR_MS = {10: 1.0, 100: 10.0}
LEAST_RATE = {100: 0.97}


@dataclass(frozen=True)
class Truth:
    """What the stub did for the test's requests, in seconds, in the order they came."""

    rows: tuple[int, ...]
    ttft: tuple[float, ...]
    e2e: tuple[float, ...]
    began: float
    ended: float
    cpu_share: float


@dataclass(frozen=True)
class Result:
    """`why_not`: why there are no figures. Errors in milliseconds, each the size of a difference."""

    client: str
    concurrency: int
    why_not: str = ""
    requests: int = 0
    failed: int = 0
    rate_held: float = 0.0
    ttft_error_p50_ms: float = 0.0
    ttft_error_p99_ms: float = 0.0
    e2e_error_p50_ms: float = 0.0
    e2e_error_p99_ms: float = 0.0
    cpu_ms_per_request: float = 0.0
    stub_cpu_share: float = 0.0


def measure(client: str, concurrency: int, timing: stub_timed.Timing, options: argparse.Namespace) -> Result:
    requests = LOADS[concurrency]
    with tempfile.TemporaryDirectory() as temporary, stub(timing, is_apart=not options.together) as address:
        task = load_peers.Task(address, concurrency, requests, timing.tokens, options.tokenizer, Path(temporary))
        if client == OURS:
            return ours(task, timing)
        return peers(next(peer for peer in load_peers.PEERS if peer.name == client), task, timing, options.peers)


def ours(task: load_peers.Task, timing: stub_timed.Timing) -> Result:
    command = [sys.executable, str(HERE / "load_client.py"), "--address", task.address, "--tokens", str(task.tokens)]
    command += ["--concurrency", str(task.concurrency), "--requests", str(task.requests)]
    looks, output = run(command, {}, task.folder)
    truth = asked(task)
    samples = json.loads(output)
    places = {row: place for place, row in enumerate(truth.rows)}
    good = [(places[int(row.removeprefix("row-"))], first, total) for row, error, first, total in samples if not error]
    ttft, e2e = ([abs(one[kind] - true[one[0]]) for one in good] for kind, true in ((1, truth.ttft), (2, truth.e2e)))
    p50s, p99s = (numpy.percentile([ttft, e2e], percent, axis=1) for percent in (50, 99))
    return result(OURS, task, timing, truth, looks, [p50s[0], p99s[0], p50s[1], p99s[1]], len(samples) - len(good))


def peers(peer: load_peers.Peer, task: load_peers.Task, timing: stub_timed.Timing, folder: Path) -> Result:
    if why_not := load_peers.install(peer, folder):
        return Result(peer.name, task.concurrency, why_not)
    try:
        looks, _ = run(peer.command(folder / peer.name, task), peer.environment, task.folder)
        truth, said = asked(task), peer.read(task.folder)
    except (FailedError, OSError, KeyError, ValueError) as fault:
        return Result(peer.name, task.concurrency, f"{type(fault).__name__}: {fault}")
    true = [*numpy.percentile(truth.ttft, [50, 99]), *numpy.percentile(truth.e2e, [50, 99])]
    off = [abs(a - b) for a, b in zip((said.ttft_p50, said.ttft_p99, said.e2e_p50, said.e2e_p99), true, strict=True)]
    return result(peer.name, task, timing, truth, looks, off, 0)


def result(
    client: str,
    task: load_peers.Task,
    timing: stub_timed.Timing,
    truth: Truth,
    looks: Sequence[tuple[float, float]],
    errors_seconds: Sequence[float],
    failed: int,
) -> Result:
    ideal = task.concurrency / timing.service_seconds
    at, cpu = zip(*looks, strict=True)
    spent = numpy.interp(truth.ended, at, cpu) - numpy.interp(truth.began, at, cpu)
    count, figures = len(truth.rows), [float(1000 * error) for error in errors_seconds]
    rate = count / (truth.ended - truth.began) / ideal
    return Result(client, task.concurrency, "", count, failed, rate, *figures, float(1000 * spent / count), truth.cpu_share)


class FailedError(Exception):
    """A client that did not end well."""


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> tuple[list[tuple[float, float]], str]:
    """(time, CPU seconds so far of all its processes) from look to look, and its stdout."""
    log, looks = folder / "log.txt", [(time.perf_counter(), 0.0)]
    surroundings = {**os.environ, "PYTHONPATH": str(HERE.parent), **environment}
    with (folder / "out.txt").open("w") as out, log.open("w") as errors:
        process = subprocess.Popen(command, cwd=folder, env=surroundings, stdout=out, stderr=errors)
        spent, known = dict[int, float](), list[psutil.Process]()
        try:
            while process.poll() is None:
                if time.perf_counter() - looks[0][0] > MOST_SECONDS:
                    raise FailedError(f"not done after {MOST_SECONDS:.0f} s")
                known = family(process.pid) if len(looks) % LOOKS_A_FAMILY == 1 else known
                look(known, spent)
                looks.append((time.perf_counter(), sum(spent.values())))
                time.sleep(LOOK_SECONDS)
        finally:
            end(process)
    if process.returncode:
        told = f"{log.read_text()} {(folder / 'out.txt').read_text()}".strip()
        raise FailedError(f"exit code {process.returncode}: {told[-400:]}")
    return looks, (folder / "out.txt").read_text()


def family(pid: int) -> list[psutil.Process]:
    """All of them; slow, since the whole process table is read."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return []


def look(processes: Sequence[psutil.Process], spent: dict[int, float]) -> None:
    """Keeps what processes that are gone by now had spent."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            spent[process.pid] = times.user + times.system


def end(process: subprocess.Popen[bytes]) -> None:
    """With all its processes: some leave theirs behind when they are killed."""
    for one in family(process.pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.kill()
    process.wait()


def asked(task: load_peers.Task) -> Truth:
    """The test's own requests are the last; some clients try the server first."""
    told = json.loads(urllib.request.urlopen(f"{task.address}/records").read())  # noqa: S310 - our own stub
    records = sorted((tuple(record) for record in told["records"]), key=lambda record: record[1])[-task.requests :]
    if len(records) < task.requests:
        raise FailedError(f"{len(records)} requests came of {task.requests}")
    rows, received, first, last = zip(*records, strict=True)
    began, ended = min(received), max(last)
    ttft, e2e = (tuple(at - came for at, came in zip(times, received, strict=True)) for times in (first, last))
    return Truth(rows, ttft, e2e, began, ended, told["cpu_seconds"] / (ended - began))


@contextlib.contextmanager
def stub(timing: stub_timed.Timing, *, is_apart: bool) -> Iterator[str]:
    command = [sys.executable, str(HERE / "stub_timed.py"), f"--ttft-seconds={timing.ttft_seconds}"]
    command += [f"--gap-seconds={timing.gap_seconds}", f"--tokens={timing.tokens}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    cpus = psutil.Process().cpu_affinity()
    if is_apart and len(cpus) > 1:
        psutil.Process(process.pid).cpu_affinity(cpus[:1])
        psutil.Process().cpu_affinity(cpus[1:])
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        psutil.Process().cpu_affinity(cpus)
        process.kill()
        process.communicate()


def missed(results: Sequence[Result]) -> Iterator[str]:
    """One sentence for each target that our generator misses."""
    for mine in (one for one in results if one.client == OURS):
        at = f"At concurrency {mine.concurrency}"
        most, least = MOST_ERROR_MS.get(mine.concurrency), LEAST_RATE.get(mine.concurrency, 0.0)
        if mine.failed:
            yield f"{at} {mine.failed} requests failed."
        for name, error in (("TTFT", mine.ttft_error_p99_ms), ("end-to-end", mine.e2e_error_p99_ms)):
            if most is not None and error > most:
                yield f"{at} the p99 error of {name} is {error:.2f} ms, more than {most:g} ms."
        if mine.rate_held < least:
            yield f"{at} it holds {mine.rate_held:.1%} of the ideal rate, less than {least:.0%}."
        spent = f"{mine.cpu_ms_per_request:.2f} ms of CPU a request"
        for peer in (one for one in results if one.client != OURS and one.concurrency == mine.concurrency and not one.why_not):
            if mine.cpu_ms_per_request >= peer.cpu_ms_per_request:
                yield f"{at} it takes {spent}, {peer.client} {peer.cpu_ms_per_request:.2f} ms."


HEADER = (
    f"{'clients':>7}  {'generator':<18}{'requests':>9}{'of ideal':>10}"
    f"{'TTFT error ms':>20}{'end-to-end error ms':>23}{'CPU ms/req':>12}{'stub CPU':>10}\n"
    f"{'':>7}  {'':<18}{'':>9}{'rate':>10}{'p50':>11}{'p99':>9}{'p50':>14}{'p99':>9}"
)


def line(one: Result) -> str:
    if one.why_not:
        return f"{one.concurrency:>7}  {one.client:<18} skipped: {one.why_not}"
    return (
        f"{one.concurrency:>7}  {one.client:<18}{one.requests:>9}{one.rate_held:>10.1%}"
        f"{one.ttft_error_p50_ms:>11.3f}{one.ttft_error_p99_ms:>9.3f}{one.e2e_error_p50_ms:>14.3f}{one.e2e_error_p99_ms:>9.3f}"
        f"{one.cpu_ms_per_request:>12.2f}{one.stub_cpu_share:>10.0%}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--concurrency", type=int, nargs="+", choices=[*LOADS], default=[*LOADS])
    parser.add_argument("--ttft-seconds", type=float, default=0.1, help="the stub's time to its first text")
    parser.add_argument("--gap-seconds", type=float, default=0.01, help="the stub's time between pieces of text")
    parser.add_argument("--tokens", type=int, default=16, help="pieces of text in an answer")
    parser.add_argument("--peers", type=Path, help="folder for the peers' environments, made where missing; without it only ours runs")
    parser.add_argument("--only", nargs="+", choices=[peer.name for peer in load_peers.PEERS], help="of the peers")
    parser.add_argument("--tokenizer", type=Path, help="folder of a tokenizer, which the peers want")
    parser.add_argument("--together", action="store_true", help="stub and clients share all CPUs")
    parser.add_argument("--json", action="store_true", help="one JSON object a run")
    options = parser.parse_args()
    if options.peers and not options.tokenizer:
        parser.error("--peers needs --tokenizer")
    timing = stub_timed.Timing(options.ttft_seconds, options.gap_seconds, options.tokens)
    named = [peer.name for peer in load_peers.PEERS if not options.only or peer.name in options.only] if options.peers else []
    print(HEADER, file=sys.stderr if options.json else sys.stdout, flush=True)
    results: list[Result] = []
    for concurrency in options.concurrency:
        for client in (OURS, *named):
            results.append(measure(client, concurrency, timing, options))
            print(json.dumps(asdict(results[-1])) if options.json else line(results[-1]), flush=True)
    found = [*missed(results)]
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
