"""`gatewright demo`: two adapters from data to live through every gate, with a rollback, on real servers. Drives the API like any client.

A second call uses a model name of its own, so it starts from the same place as the first while the history of both stays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import rich.console
import rich.progress
import rich.table

from controlplane import client as client_module
from controlplane import settings as settings_module
from controlplane import stack as stack_module
from controlplane import wire
from controlplane.core import adapters, errors, profiles
from controlplane.core.runs import State

BASE_NAME = "ops-qa"
POLL_SECONDS = 1.0
SOURCE_ALIAS = "perf-passed"


@dataclass(frozen=True)
class Plan:
    """How one version is made."""

    data_version: int
    lora_config: str


PLANS = (Plan(1, "minimal"), Plan(2, "standard"))


@dataclass
class Record:
    """What the final table says of one version: its steps' outputs and the seconds each stage took."""

    plan: Plan
    version: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class DemoFailed(Exception):
    """A stage did not end as it must: which, why, and where its log is."""

    def __init__(self, stage: str, reason: str, log: str) -> None:
        super().__init__(f"{stage} failed: {reason}\nLog: {log}")


def run(settings: settings_module.Settings) -> int:
    """The whole demo; 0 when everything held, 1 with the stage, the reason and the log otherwise, 130 after Ctrl-C."""
    screen = rich.console.Console(soft_wrap=True)
    began = time.monotonic()
    try:
        with stack_module.interruptible(), _running_stack(settings, screen) as stack:
            records = Demo(settings, stack, screen).run()
    except KeyboardInterrupt:
        screen.print("Interrupted. Everything this demo started is stopped.")
        return 130
    except (DemoFailed, errors.GatewrightError) as error:
        screen.print(f"{error}\nServer logs: {settings.home / 'logs'}", style="bold red", markup=False)
        return 1
    screen.print(_table(records))
    for note in profiles.LOWERED[settings.profile]:
        screen.print(note, style="yellow")
    screen.print(f"Done in {_duration(time.monotonic() - began)}. `make up` opens the console on these results at {settings.console_url}")
    return 0


class Demo:
    """One demo on a running stack."""

    def __init__(self, settings: settings_module.Settings, stack: stack_module.Stack | None, screen: rich.console.Console) -> None:
        self.settings = settings
        self.stack = stack
        self.screen = screen
        self.api = client_module.Client(settings.api_url, token=settings.api_token, actor="demo", interface="cli", timeout_seconds=300)
        self.model = _free_name({model.name for model in self.api.models()})

    def run(self) -> list[Record]:
        """Both versions to live, a rollback, and forward again; every step checked against the server."""
        first, second = Record(PLANS[0]), Record(PLANS[1])
        with _bars(self.screen) as bars:
            self._train(bars, first)
            self._wait_for_server()
            self._stage_to_live(bars, first, compare_base=True)
            self._train(bars, second)
            self._stage_to_live(bars, second, compare_base=False)
            self._roll_back(bars, to=first, from_=second)
        return [first, second]

    def _train(self, bars: rich.progress.Progress, record: Record) -> None:
        parameters = {"data-version": str(record.plan.data_version), "lora-config": record.plan.lora_config}
        self._workflow(bars, record, "training", parameters)
        record.version = int(record.outputs["version"])

    def _stage_to_live(self, bars: rich.progress.Progress, record: Record, *, compare_base: bool) -> None:
        self._workflow(bars, record, "deployment", {})
        self._workflow(bars, record, "evaluation", {"compare-base": "true"} if compare_base else {})
        self._workflow(bars, record, "performance", {})
        self._promote(bars, record)

    def _roll_back(self, bars: rich.progress.Progress, *, to: Record, from_: Record) -> None:
        """Back and forth again: from the same place, the second rollback is the promotion that restores the newer version."""
        with self._stage(bars, from_, "rollback", f"v{from_.version} back to v{to.version}"):
            self.api.rollback(self.model, "demo: show that one call brings the previous version back")
            self._verify(to)
        with self._stage(bars, from_, "promote again", f"v{from_.version} live again"):
            self.api.rollback(self.model, "demo: promote the newer version again")
            self._verify(from_)

    def _promote(self, bars: rich.progress.Progress, record: Record) -> None:
        with self._stage(bars, record, "promote", f"v{record.version} to live"):
            self.api.promote(self.model, SOURCE_ALIAS, "demo: both gates passed")
            self._verify(record)

    def _verify(self, record: Record) -> None:
        """The registry's live version is what every server answers with, from that version's own directory."""
        live = self.api.model(self.model).live
        if live != record.version:
            raise DemoFailed(
                "verify", f"the registry says v{live} is live, not v{record.version}", str(self.settings.home / "logs" / "api.log")
            )
        wanted = adapters.directory_name(self.model, record.version, adapters.Digest(record.outputs["digest"]))
        for replica in self.api.replicas():
            roots = [slot.served_root for slot in replica.slots if slot.name == adapters.live_slot(self.model)]
            if not roots or not roots[0].endswith(wanted):
                raise DemoFailed(
                    "verify", f"{replica.address} serves {roots or 'nothing'}, not {wanted}", str(self.settings.home / "logs" / "vllm.log")
                )

    def _workflow(self, bars: rich.progress.Progress, record: Record, workflow: str, parameters: dict[str, str]) -> None:
        with self._stage(bars, record, workflow, workflow) as bar:
            run = self.api.launch(workflow, {"model-name": self.model, **parameters})
            try:
                run = self._follow(bars, bar, run)
            except KeyboardInterrupt:
                self.api.cancel(run.id)
                raise
        if run.state != State.SUCCEEDED:
            raise DemoFailed(f"{workflow} (data v{record.plan.data_version})", run.reason, str(self.settings.runs_dir / run.id))
        for step in run.steps:
            record.outputs.update(step.outputs)

    def _follow(self, bars: rich.progress.Progress, bar: rich.progress.TaskID, run: wire.Run) -> wire.Run:
        while run.state in (State.WAITING, State.RUNNING):
            self._require_alive()
            progress = self.api.progress(run.id)
            bars.update(bar, completed=progress.fraction, step=progress.step, message=progress.message[:60])
            time.sleep(POLL_SECONDS)
            run = self.api.run(run.id)
        return run

    @contextmanager
    def _stage(self, bars: rich.progress.Progress, record: Record, name: str, title: str) -> Iterator[rich.progress.TaskID]:
        began = time.monotonic()
        bar = bars.add_task(f"data v{record.plan.data_version} · {title}", total=1.0, step="", message="")
        try:
            yield bar
        finally:
            bars.remove_task(bar)
        record.seconds[name] = time.monotonic() - began
        bars.console.print(f"  {'✓'} data v{record.plan.data_version} · {title:<22} {record.seconds[name]:6.1f} s")

    def _wait_for_server(self) -> None:
        if self.stack is not None:
            self.stack.wait(["vllm"])

    def _require_alive(self) -> None:
        for name in self.stack.dead() if self.stack is not None else []:
            raise DemoFailed(name, "the server ended by itself", str(self.settings.home / "logs" / f"{name}.log"))


@contextmanager
def _running_stack(settings: settings_module.Settings, screen: rich.console.Console) -> Iterator[stack_module.Stack | None]:
    """The stack that is up already, or one of our own that ends with the demo. vLLM may still be starting when this yields."""
    if stack_module.is_running(settings):
        screen.print(f"Using the stack that is running at {settings.api_url}")
        yield None
        return
    stack = stack_module.Stack(settings, screen.print)
    try:
        with screen.status("Preparing the base model and the data set (once)"):
            stack.prepare()
        stack.start()
        with screen.status("Starting MLflow and the API; vLLM starts while the first adapter trains"):
            stack.wait([name for name in stack.running if name != "vllm"])
        yield stack
    finally:
        with screen.status("Stopping"):
            stack.stop()


def _bars(screen: rich.console.Console) -> rich.progress.Progress:
    return rich.progress.Progress(
        rich.progress.SpinnerColumn(),
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(bar_width=30),
        rich.progress.TaskProgressColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("[dim]{task.fields[step]} {task.fields[message]}"),
        console=screen,
    )


def _free_name(taken: set[str]) -> str:
    number = 1
    while (name := BASE_NAME if number == 1 else f"{BASE_NAME}-{number}") in taken:
        number += 1
    return name


def _table(records: list[Record]) -> rich.table.Table:
    table = rich.table.Table(title="What was measured (answers graded by the deterministic reference judge)")
    table.add_column("")
    table.add_column("base model", justify="right")
    for record in records:
        table.add_column(f"version {record.version} ({record.plan.lora_config}, data v{record.plan.data_version})", justify="right")
    for label, key, style in ROWS:
        base = records[0].outputs.get(f"base-{key}", "")
        table.add_row(label, _shown(base, style), *(_shown(record.outputs.get(key, ""), style) for record in records))
    for stage in records[-1].seconds:
        table.add_row(f"{stage} (s)", "", *(f"{record.seconds[stage]:.1f}" if stage in record.seconds else "" for record in records))
    return table


ROWS = (
    ("MLflow run", "run-id", "text"),
    ("digest", "digest", "short"),
    ("eval loss (nats/token)", "final-eval-loss", "number"),
    ("perplexity", "final-perplexity", "number"),
    ("A: right", "a-rate", "percent"),
    ("B: partly", "b-rate", "percent"),
    ("C: wrong", "c-rate", "percent"),
    ("refused of unanswerable", "refusal-rate", "percent"),
    ("P95 end to end (s)", "p95-latency", "number"),
    ("P95 first token (s)", "p95-ttft", "number"),
    ("throughput (req/s)", "throughput", "number"),
)


def _shown(value: str, style: str) -> str:
    if value in ("", "None"):
        return "–"
    match style:
        case "short":
            return value[:12]
        case "number":
            return f"{float(value):.3f}"
        case "percent":
            return f"{float(value):.1%}"
        case _:
            return value


def _duration(seconds: float) -> str:
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
