"""How near Gate 1's inference and judging come to the bound that their servers set, and whether their memory grows with the rows.

    .venv/bin/python benchmarks/evaluation_throughput.py --rows 2000 --service-seconds 0.5

The jobs run as the workflow runs them: inference of candidate and live side by side, the judge following both. Each talks to a stub that
answers every request after a fixed time, however many there are at once. So nothing can be faster than

    requests x service time / requests in flight

which is a stage's bound. The bound of the whole is the largest of them: all stages run at once, and the judge begins with the golden set,
which needs no answer. A stage's wall time is that of its process, from start to end, with the start of Python. That is what is held
against the limit; "ready" says when the first request came. The stubs count the requests: more or fewer than due make the run void.

Memory is the peak of each process, at a service time so short that the jobs are the limit: the most that can pile up does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from controlplane.core import workflow_spec, workflows

ROOT = Path(__file__).parents[1]
STUB = Path(__file__).with_name("stub_openai.py")
GOLDEN_ROWS = sum(1 for line in (ROOT / "controlplane" / "golden" / "ops-qa.jsonl").open(encoding="utf-8") if line.strip())
MODEL = "bench"
CANDIDATE, LIVE, JUDGE = f"{MODEL}-candidate", f"{MODEL}-live", "judge"
DOWNLOAD, JUDGING = "download-eval-data", "judge-answers"
# The steps that ask, and the model each of them asks.
ASKED = {"inference-candidate": CANDIDATE, "inference-live": LIVE, JUDGING: JUDGE}
MAX_CONCURRENT = 15
MOST_OVER_BOUND = 1.10
MOST_GROWTH = 1.10
FEW_ROWS, MANY_ROWS = 1_000, 20_000
SHORT_SERVICE_SECONDS = 0.02


@dataclass(frozen=True)
class Case:
    rows: int
    service_seconds: float
    is_pairwise: bool

    @property
    def requests(self) -> dict[str, int]:
        """Due of each stage: a grade of each answer; compared, each row is asked about in both orders."""
        judged = GOLDEN_ROWS + 2 * self.rows + (2 * self.rows if self.is_pairwise else 0)
        return {"inference-candidate": self.rows, "inference-live": self.rows, JUDGING: judged}


@dataclass(frozen=True)
class Stage:
    """`ready_seconds`: until its first request."""

    name: str
    requests: int
    most_at_once: int
    wall_seconds: float
    ready_seconds: float
    bound_seconds: float
    cpu_seconds: float
    peak_mib: float

    @property
    def ratio(self) -> float:
        return self.wall_seconds / self.bound_seconds


@dataclass(frozen=True)
class Measured:
    """`stub_cpu_shares`, `stubs_late_seconds`: of the server under test and the judge's; near 1, or late, they would be the limit.

    `others_cpus`: how many of the machine's `cpus` were busy with what is none of ours. When hardly one is left, the run says little.
    """

    case: Case
    stages: tuple[Stage, ...]
    wall_seconds: float
    stub_cpu_shares: tuple[float, ...]
    stubs_late_seconds: tuple[float, ...]
    others_cpus: float
    cpus: int

    @property
    def bound_seconds(self) -> float:
        return max(stage.bound_seconds for stage in self.stages)

    @property
    def ratio(self) -> float:
        return self.wall_seconds / self.bound_seconds


@dataclass(frozen=True)
class Ended:
    """A process that is over: when, and what it took."""

    at: float
    cpu_seconds: float
    peak_mib: float


def measure(case: Case) -> Measured:
    with tempfile.TemporaryDirectory() as temporary, stub(case, CANDIDATE, LIVE) as tested, stub(case, JUDGE) as judging:
        folder = Path(temporary)
        write_questions(folder / DOWNLOAD / "eval.jsonl", case.rows)
        started, busy = time.time(), busy_seconds()
        ended = run_all(commands(case, folder, tested, judging), folder)
        busy = busy_seconds() - busy
        servers = [stats(tested), stats(judging)]
    wall_seconds = max(one.at for one in ended.values()) - started
    shares, late = (tuple(server[key] for server in servers) for key in ("cpu_share", "late_seconds"))
    others = busy / wall_seconds - sum(one.cpu_seconds for one in ended.values()) / wall_seconds - sum(shares)
    stages = tuple(stage(step, case, servers[step == JUDGING], ended[step], started) for step in ASKED)
    return Measured(case, stages, wall_seconds, shares, late, max(0.0, others), psutil.cpu_count())


def busy_seconds() -> float:
    """Of all processors since the machine started; time that a host took away counts as busy."""
    times = psutil.cpu_times()._asdict()
    return float(sum(seconds for name, seconds in times.items() if name not in ("idle", "iowait", "guest", "guest_nice")))


def stage(step: str, case: Case, server: dict[str, Any], ended: Ended, started: float) -> Stage:
    due = case.requests[step]
    requests, at_once, first_at = (server[key][ASKED[step]] for key in ("requests", "most_at_once", "first_at"))
    if requests != due or at_once > MAX_CONCURRENT:
        raise SystemExit(f"Void: {step} made {requests} requests, {at_once} at once; due are {due}, at most {MAX_CONCURRENT} at once.")
    bound = due * case.service_seconds / MAX_CONCURRENT
    return Stage(step, due, at_once, ended.at - started, first_at - started, bound, ended.cpu_seconds, ended.peak_mib)


def write_questions(file: Path, rows: int) -> None:
    file.parent.mkdir()
    with file.open("w", encoding="utf-8") as out:
        for number in range(rows):
            row = {"question": f"Which port has service {number}?", "context": f"Service {number} has port {number}. " * 8}
            out.write(json.dumps({"id": f"row-{number}", **row, "answer": str(number), "answerable": True}) + "\n")


def commands(case: Case, folder: Path, tested: str, judging: str) -> dict[str, list[str]]:
    """The workflow's own command lines of the steps that ask, and of the one that would ask the base model if anybody wished."""
    slots = {"model-name": MODEL, "candidate-adapter": CANDIDATE, "live-adapter": LIVE}
    servers = {"vllm-url": tested, "judge-url": judging, "max-concurrent": str(MAX_CONCURRENT)}
    parameters = workflow_spec.resolve(workflows.EVALUATION, {**slots, **servers})
    outputs = {DOWNLOAD: {"rows": str(case.rows)}}
    folders = {step.name: str(folder / step.name) for step in workflows.EVALUATION.steps}
    found = {
        step.name: [step.module, *workflow_spec.arguments(step, parameters, outputs, folders), f"--output-dir={folders[step.name]}"]
        for step in workflows.EVALUATION.steps
        if step.name in (*ASKED, "inference-base")
    }
    found[JUDGING].append("--pairwise" if case.is_pairwise else "--no-pairwise")
    return found


def run_all(commands: dict[str, list[str]], folder: Path) -> dict[str, Ended]:
    """All at once. The judge would wait for ever for a stage that failed, so the first failure ends all."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GATEWRIGHT_HOME": str(folder / "home")}
    running = {name: start(command, folder / f"{name}.log", environment) for name, command in commands.items()}
    ended: dict[str, Ended] = {}
    try:
        while len(ended) < len(running):
            time.sleep(0.02)
            for name in running.keys() - ended:
                if found := over(running[name]):
                    ended[name] = found
                    if running[name].returncode:
                        raise SystemExit(f"{name} failed: {(folder / f'{name}.log').read_text()[-2000:]}")
    finally:
        for name in running.keys() - ended:
            running[name].kill()
            running[name].wait()
    return {name: ended[name] for name in commands}


def start(command: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("w") as out:
        return subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=out, stderr=out)


def over(process: subprocess.Popen[bytes]) -> Ended | None:
    """What the kernel counted of this very process; `subprocess` would throw it away."""
    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    if not pid:
        return None
    process.returncode = os.waitstatus_to_exitcode(status)
    return Ended(time.time(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@contextmanager
def stub(case: Case, *models: str) -> Iterator[str]:
    """The address of a stub in a process of its own."""
    command = [sys.executable, str(STUB), f"--service-seconds={case.service_seconds}", "--models", *models]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.communicate()


def stats(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}/stats") as reply:  # noqa: S310 - our own stub
        return dict(json.load(reply))


def too_slow(measured: Measured) -> Iterator[str]:
    """One sentence for each stage, and the whole, that takes too long."""
    for name, ratio in [*((stage.name, stage.ratio) for stage in measured.stages), ("the whole", measured.ratio)]:
        if ratio > MOST_OVER_BOUND:
            yield f"{shown(measured.case)}: {name} takes {ratio:.3f}x its bound, more than {MOST_OVER_BOUND:.2f}x."


def growing(few: Measured, many: Measured) -> Iterator[str]:
    for before, after in zip(few.stages, many.stages, strict=True):
        if after.peak_mib > MOST_GROWTH * before.peak_mib:
            yield (
                f"{shown(many.case)}: {after.name} takes {after.peak_mib:.1f} MiB, {after.peak_mib / before.peak_mib:.3f}x "
                f"what it takes for {few.case.rows} rows."
            )


def shown(case: Case) -> str:
    return f"{case.rows} rows, {case.service_seconds:g} s a request, {'pairwise' if case.is_pairwise else 'pointwise'}"


def table(measured: Measured) -> str:
    shares = " and ".join(f"{share:.0%}" for share in measured.stub_cpu_shares)
    late = " and ".join(f"{1000 * seconds:.1f} ms" for seconds in measured.stubs_late_seconds)
    columns = ("requests", "at once", "ready s", "wall s", "bound s", "ratio", "CPU s", "peak MiB")
    header = f"{'stage':<20} " + " ".join(f"{column:>8}" for column in columns)
    lines = [
        f"{one.name:<20} {one.requests:>8} {one.most_at_once:>8} {one.ready_seconds:>8.2f} {one.wall_seconds:>8.2f} "
        f"{one.bound_seconds:>8.2f} {one.ratio:>8.3f} {one.cpu_seconds:>8.1f} {one.peak_mib:>8.1f}"
        for one in measured.stages
    ]
    whole = f"{'the whole':<46} {measured.wall_seconds:>8.2f} {measured.bound_seconds:>8.2f} {measured.ratio:>8.3f}"
    servers = f"stubs: {shares} of a CPU, {late} late on average"
    others = f"others: {measured.others_cpus:.2f} of {measured.cpus} CPUs"
    return "\n".join([f"\n{shown(measured.case)}; {servers}; {others}", header, *lines, whole])


def as_json(measured: Measured) -> str:
    stages = [{**asdict(stage), "ratio": stage.ratio} for stage in measured.stages]
    return json.dumps({**asdict(measured), "bound_seconds": measured.bound_seconds, "ratio": measured.ratio, "stages": stages})


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument(
        "--service-seconds", type=float, default=0.5, help="a short answer's of a 7B model; the shorter, the more a process's start weighs"
    )
    parser.add_argument("--skip-memory", action="store_true", help=f"leave out the runs of {FEW_ROWS} and {MANY_ROWS} rows")
    parser.add_argument("--skip-time", action="store_true", help="leave out the runs that are held against their bound")
    parser.add_argument("--json", action="store_true", help="one JSON object a run")
    arguments = parser.parse_args()

    def show(measured: Measured) -> Measured:
        print(as_json(measured) if arguments.json else table(measured), flush=True)
        return measured

    found: list[str] = []
    for is_pairwise in () if arguments.skip_time else (False, True):
        found += too_slow(show(measure(Case(arguments.rows, arguments.service_seconds, is_pairwise))))
    if not arguments.skip_memory:
        few, many = (show(measure(Case(rows, SHORT_SERVICE_SECONDS, True))) for rows in (FEW_ROWS, MANY_ROWS))
        found += growing(few, many)
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
