"""A client of the API that answers from memory, for tests of the console: two models' worth of history, and faults on demand."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from controlplane import testing, wire
from controlplane.core import errors, evidence, workflow_spec, workflows
from controlplane.services import compare, results, review

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MODEL = "ops-qa"


class FakeClient:
    """Every verb of `controlplane.client.Client` that the console uses. `fault`, when set, is raised by every verb."""

    def __init__(self, now: datetime = NOW, *, version_count: int = 6) -> None:
        self.now = now
        self.fault: errors.GatewrightError | None = None
        self.is_empty = False
        self.archived: set[int] = set()
        self.override = ""
        self.drifts: tuple[wire.AliasDrift, ...] = ()
        self.refusal = ""
        self.calls: list[tuple[str, tuple[object, ...]]] = []
        self.version_count = version_count
        self.live, self.before = version_count - 1, version_count - 2
        self.actor = "ada"
        self.people: wire.Evidence | None = None
        self.rows = tuple(_graded())
        # In place of the evaluation that an older version of Gatewright made.
        self.newer: wire.Evaluation | None = None
        # In place of the load test that an older version of Gatewright made.
        self.load_test: wire.Performance | None = None
        self.panels: dict[str, list[wire.Series]] = {}
        self.evaluation_run = "77ac01be12f94d1b"
        # People's votes follow the real rules, over a ledger in memory.
        comparer = compare.Comparer(testing.FakeRegistry(), (), testing.FakeJudge(), testing.FakeLedger(), lambda: self.now)
        self.reviewer = review.Reviewer(_Evaluations(self), comparer.ledger, comparer, lambda: self.now)
        self.moved: list[wire.Promotion] = []

    def health(self) -> wire.Health:
        self._called("health")
        systems = (
            wire.System(name="MLflow", address="http://127.0.0.1:5500", is_well=True, latency_seconds=0.012, version="3.17.2"),
            wire.System(
                name="vLLM", address="http://127.0.0.1:8000", is_well=True, latency_seconds=0.004, version="0.32.0", detail="1 replica"
            ),
            wire.System(name="Database", address="sqlite:///gatewright.db", is_well=True, latency_seconds=0.0008, version="3.40.1"),
            wire.System(
                name="Prometheus",
                address="http://127.0.0.1:9090",
                is_well=False,
                detail="Connection refused.",
                hint="Start Prometheus, or unset GATEWRIGHT_PROMETHEUS_URL.",
            ),
        )
        return wire.Health(is_well=False, version="0.1.0", profile="local", executor="local", systems=systems)

    def overview(self) -> wire.Overview:
        self._called("overview")
        if self.is_empty:
            return wire.Overview(headline="Nothing is live yet.", models=(), replicas=(), active_runs=(), events=())
        model = wire.OverviewModel(
            name=MODEL,
            live=self._version(self.live),
            previous=self._version(self.before),
            candidate=self._version(self.version_count),
            headline=f"v{self.live} is live; v{self.version_count} has passed both gates and waits for a decision.",
            next_step=f"Promote v{self.version_count}, or leave v{self.live} in place.",
        )
        return wire.Overview(
            headline=f"{MODEL} v{self.live} is live, and v{self.version_count} waits for your decision.",
            models=(model,),
            replicas=tuple(self._replicas()),
            active_runs=(self.runs()[0],),
            events=tuple(self.history(MODEL, 10)),
        )

    def workflows(self) -> list[wire.Workflow]:
        self._called("workflows")
        return [_workflow(one) for one in workflows.WORKFLOWS.values()]

    def launch(self, workflow: str, parameters: dict[str, str]) -> wire.Run:
        self._called("launch", workflow, dict(parameters))
        return self._run("5c1f0e9b7a42", workflow, "running", 1)

    def runs(self, *, workflow: str = "", is_active: bool = False, limit: int = 50) -> list[wire.Run]:
        self._called("runs", workflow, is_active, limit)
        if self.is_empty:
            return []
        every = [
            self._run("5c1f0e9b7a42", "evaluation", "running", 3),
            self._run("91ab77d0e3c5", "training", "succeeded", 40),
            self._run("d2407f6612aa", "performance", "stopped", 95),
            self._run("07e5b1c9f8d3", "deployment", "failed", 60 * 26),
        ]
        return [run for run in every if workflow in ("", run.workflow) and not (is_active and run.state != "running")][:limit]

    def run(self, run_id: str) -> wire.Run:
        self._called("run", run_id)
        for run in self.runs():
            if run.id == run_id:
                return run
        raise errors.NotFound(f"There is no run {run_id!r}.", hint="Choose one from the list.")

    def progress(self, run_id: str) -> wire.RunProgress:
        self._called("progress", run_id)
        return wire.RunProgress(
            run_id=run_id, state="running", step="inference-candidate", fraction=0.38, message="64 of 112 questions", seconds_left=47.0
        )

    def cancel(self, run_id: str) -> wire.Run:
        self._called("cancel", run_id)
        return self.run(run_id)

    def retry(self, run_id: str) -> wire.Run:
        self._called("retry", run_id)
        return self.run(run_id)

    def logs(self, run_id: str, after: str = "") -> list[wire.LogLine]:
        self._called("logs", run_id, after)
        words = (
            ("INFO", "download-eval-data", "Read 112 rows of ops-qa-v2 eval."),
            ("DEBUG", "download-eval-data", "Digest matches the ledger."),
            ("INFO", "inference-candidate", "Asking ops-qa-candidate 112 questions, 8 at once."),
            ("WARNING", "inference-candidate", "Row q-041 took 4.8 s, longer than 95 % of the others."),
            ("INFO", "inference-candidate", "64 of 112 questions answered."),
            ("ERROR", "inference-live", "vLLM at http://127.0.0.1:8000 answered 503; asking again in 2 s."),
        )
        lines = [
            wire.LogLine(
                id=f"{step}:{n}", step=step, number=n, time=(self.now + timedelta(seconds=n)).isoformat(), level=level, message=message
            )
            for n, (level, step, message) in enumerate(words * 6)
        ]
        return lines[[line.id for line in lines].index(after) + 1 :] if after else lines

    def models(self) -> list[wire.Model]:
        self._called("models")
        if self.is_empty:
            return []
        aliases = {alias: number for number in range(1, self.version_count + 1) for alias in self._aliases(number)}
        return [
            wire.Model(
                name=MODEL,
                aliases=aliases,
                created_at=self.now - timedelta(days=20),
                live=self.live,
                candidate=self.version_count,
                latest_version=self.version_count,
            )
        ]

    def versions(self, name: str) -> list[wire.Version]:
        self._called("versions", name)
        return [self._version(number) for number in range(self.version_count, 0, -1)]

    def version(self, name: str, number: int) -> wire.VersionDetail:
        self._called("version", name, number)
        draw = random.Random(number)
        loss = tuple((step, 2.4 * 0.93**step + 0.05 * draw.random()) for step in range(0, 60, 3))
        return wire.VersionDetail(
            version=self._version(number),
            parameters={"lora_config": "minimal" if number % 2 else "standard", "learning_rate": "0.001", "num_epochs": "1", "seed": "7"},
            files=(
                wire.File(path="adapter/adapter_config.json", size_bytes=812),
                wire.File(path="adapter/adapter_model.safetensors", size_bytes=1_862_000),
            ),
            curves={"train_loss": loss, "eval_loss": tuple((step, value + 0.1) for step, value in loss[::4])},
            promotions=tuple(one for one in self.promotions(name) if one.version == number),
        )

    def card(self, name: str, number: int) -> str:
        self._called("card", name, number)
        return f"# {name} v{number}\n\nA LoRA adapter for short answers from context.\n\n| metric | value |\n|---|---|\n| A-rate | 84 % |\n"

    def download(self, name: str, number: int) -> bytes:
        self._called("download", name, number)
        return b"PK\x05\x06" + b"\0" * 18

    def plan(self, name: str, source_alias: str = "perf-passed") -> wire.Plan:
        self._called("plan", name, source_alias)
        is_rollback = source_alias == "previous"
        version = self.before if is_rollback else self.version_count
        moves = [
            wire.AliasMove(alias="previous", before=self.before, after=self.live),
            wire.AliasMove(alias="live", before=self.live, after=version),
        ]
        if not is_rollback:
            moves += [wire.AliasMove(alias=alias, before=version, after=None) for alias in ("staged", "eval-passed", "perf-passed")]
        found = [
            wire.Evidence(
                gate="quality", title="Gate 0: quality", outcome="pass", reason="All 2 checks passed.", mlflow_run="4be1c0aa93d94a6e"
            ),
            wire.Evidence(
                gate="evaluation", title="Gate 1: evaluation", outcome="pass", reason="All 3 checks passed.", mlflow_run="77ac01be12f94d1b"
            ),
            wire.Evidence(
                gate="performance",
                title="Gate 2: performance",
                outcome="pass",
                reason="All 7 checks passed.",
                mlflow_run="c90d7be0441f4f5a",
            ),
        ]
        if self.people is not None:
            found.append(self.people)
        return wire.Plan(
            model=name,
            source_alias=source_alias,
            is_rollback=is_rollback,
            version=version,
            replaces=self.live,
            moves=tuple(moves),
            evidence=() if is_rollback else tuple(found),
            refusal=self.refusal,
            override="" if is_rollback else self.override,
            replicas=("http://127.0.0.1:8000",),
            drift=self.drifts,
        )

    def adopt(self, name: str, reason: str) -> None:
        self._called("adopt", name, reason)
        self.drifts = ()

    def revert(self, name: str, reason: str) -> None:
        self._called("revert", name, reason)
        self.drifts = ()

    def archive(self, name: str, number: int, reason: str) -> wire.Version:
        self._called("archive", name, number, reason)
        self.archived = {*self.archived, number}
        return self._version(number)

    def restore(self, name: str, number: int, reason: str) -> wire.Version:
        self._called("restore", name, number, reason)
        self.archived = self.archived - {number}
        return self._version(number)

    def promote(
        self, name: str, source_alias: str, reason: str, *, override: bool = False, expected_live: int | None = None
    ) -> wire.Promotion:
        self._called("promote", name, source_alias, reason, override, expected_live)
        return self._moved(self.version_count, self.live, False, source_alias, reason)

    def rollback(self, name: str, reason: str, *, expected_live: int | None = None) -> wire.Promotion:
        self._called("rollback", name, reason, expected_live)
        return self._moved(self.before, self.live, True, "previous", reason)

    def promotions(self, name: str = "", limit: int = 100) -> list[wire.Promotion]:
        self._called("promotions", name, limit)
        if self.is_empty:
            return []
        past = [
            self._promotion(f"p-{n}", self.live - n, self.live - n - 1 or None, n == 1, "done", 60 * 5 + 60 * 31 * n)
            for n in range(min(4, self.live))
        ]
        return [*self.moved, *past][:limit]

    def history(self, name: str, limit: int = 100) -> list[wire.Event]:
        self._called("history", name, limit)
        lines = (
            ("alias perf-passed set", self.version_count, "ada", "console", 12),
            ("alias eval-passed set", self.version_count, "ada", "console", 31),
            ("alias staged set", self.version_count, "ci", "api", 44),
            ("alias candidate set", self.version_count, "ci", "api", 52),
            ("promoted", self.live, "grace", "console", 300),
            ("rolled back", self.before, "grace", "cli", 2160),
        )
        return [
            wire.Event(
                id=n,
                at=self.now - timedelta(minutes=minutes),
                actor=actor,
                interface=interface,
                action=action,
                model=MODEL,
                version=version,
            )
            for n, (action, version, actor, interface, minutes) in enumerate(lines)
        ][:limit]

    def evaluation(self, name: str, version: int) -> wire.Evaluation:
        self._called("evaluation", name, version)
        if version == 1 or self.is_empty:
            raise errors.NotFound(f"Gate 1 was never run for {name} v{version}.", hint="Launch the evaluation workflow.")
        if self.newer is not None:
            return self.newer
        checks = (
            _check("A-rate", 0.857, ">=", 0.830, "%", "pass", "live", (0.79, 0.91)),
            _check("C-rate", 0.071, "<=", 0.089, "%", "pass", "live", (0.03, 0.13)),
            _check("refusal rate", 0.964, ">=", 0.90, "%", "pass", "floor", (0.82, 0.99)),
        )
        verdict = wire.Verdict(
            gate="evaluation",
            rules="point",
            outcome="pass",
            reason="All 3 checks passed.",
            checks=checks,
            notes=("Graded by the deterministic reference judge: no model judged these answers.",),
        )
        return wire.Evaluation(
            model=name,
            version=version,
            mlflow_run=self.evaluation_run,
            at=self.now - timedelta(minutes=31),
            judge="reference",
            verdict=verdict,
            metrics={"candidate_a_rate": 0.857, "live_a_rate": 0.83},
            parameters={"dataset": "ops-qa", "data-version": "2"},
            rows=self.rows,
            asked=len(self.rows) // 2,
            judged=len(self.rows) // 2,
        )

    def calibrations(self) -> list[wire.Calibration]:
        self._called("calibrations")
        return [] if self.is_empty else [_calibration("llm judge (small)", 0.91, ""), _calibration("reference judge", 0.41, "reference")]

    def performance(self, name: str, version: int) -> wire.Performance:
        self._called("performance", name, version)
        if version == 1 or self.is_empty:
            raise errors.NotFound(f"Gate 2 was never run for {name} v{version}.", hint="Launch the performance workflow.")
        if self.load_test is not None:
            return self.load_test
        checks = (
            _check("P95 latency", 3.12, "<", 8.0, "s", "pass", "floor", None),
            _check("P95 TTFT", 0.41, "<", 2.0, "s", "pass", "floor", None),
            _check("throughput", 0.93, ">", 0.5, "req/s", "pass", "floor", None),
            _check("success rate", 1.0, ">=", 0.99, "%", "pass", "floor", None),
            _check("P95 latency vs baseline", 3.12, "<=", 3.45, "s", "pass", "baseline", None),
            _check("throughput vs baseline", 0.93, ">=", 0.81, "req/s", "pass", "baseline", None),
        )
        verdict = wire.Verdict(
            gate="performance",
            rules="point",
            outcome="pass",
            reason="All 6 checks passed.",
            checks=checks,
            notes=("Local profile: throughput floor 0.5 req/s (not 2.0) and concurrency 2 (not 10), for a CPU.",),
        )
        return wire.Performance(
            model=name,
            version=version,
            mlflow_run="c90d7be0441f4f5a",
            at=self.now - timedelta(minutes=13),
            ended_at=self.now - timedelta(minutes=12),
            verdict=verdict,
            metrics={"p95_latency_seconds": 3.12, "p95_ttft_seconds": 0.41, "throughput": 0.93, "success_rate": 1.0},
            parameters={"concurrency": "2", "max-tokens": "24"},
            samples=tuple(_samples(1)),
            baseline_version=self.live,
            baseline_samples=tuple(_samples(2)),
        )

    def compare(self, comparison: wire.Comparison) -> Iterator[wire.ComparisonEvent]:
        self._called("compare", comparison)
        answers = {"candidate": ["Port", "22,", "over", "TCP."], "live": ["The", "port", "is", "22."]}
        for position in range(4):
            for side in ("candidate", "live"):
                yield wire.ComparisonEvent.model_validate({"side": side, "text": answers[side][position] + " "})
        yield wire.ComparisonEvent(
            side="candidate", is_last=True, version=self.version_count, first_token_seconds=0.21, total_seconds=0.9, answer_tokens=7
        )
        yield wire.ComparisonEvent(
            side="live", is_last=True, version=self.live, first_token_seconds=0.24, total_seconds=1.1, answer_tokens=6
        )

    def judge(self, request: wire.JudgeRequest) -> wire.JudgeAnswer:
        self._called("judge", request)
        return wire.JudgeAnswer(judge="reference", grades={"candidate": ("A", "Names port 22."), "live": ("A", "Names port 22.")})

    def vote(self, vote: wire.Vote) -> wire.VoteRecord:
        self._called("vote", vote)
        return self.reviewer.vote(vote, self.actor) if vote.row_id else self.reviewer.comparer.vote(vote, self.actor)

    def votes(self, model: str, *, version: int | None = None, evaluation_run: str = "") -> list[wire.VoteRecord]:
        self._called("votes", model)
        return self.reviewer.comparer.votes(model, version, evaluation_run)

    def exported_votes(self, model: str, version: int | None = None) -> list[wire.ExportedVote]:
        self._called("exported_votes", model, version)
        return self.reviewer.exported(model, version)

    def review(self, name: str, version: int) -> wire.Review:
        self._called("review", name, version)
        return self.reviewer.review(name, version)

    def grades(self, name: str, version: int) -> list[wire.GradeRecord]:
        self._called("grades", name, version)
        return self.reviewer.grades(name, version)

    def grade(self, name: str, version: int, correction: wire.GradeCorrection) -> wire.GradeRecord:
        self._called("grade", name, version, correction)
        return self.reviewer.grade(name, version, correction, self.actor)

    def golden_rows(self, name: str, version: int) -> list[wire.GoldenRow]:
        self._called("golden_rows", name, version)
        return self.reviewer.golden(name, version)

    def speaking_for(self, actor: str) -> FakeClient:
        self.actor = actor or self.actor
        return self

    def datasets(self) -> list[wire.Dataset]:
        self._called("datasets")
        if self.is_empty:
            return []
        return [
            wire.Dataset(
                id=f"ops-qa-v{version}",
                name="ops-qa",
                version=version,
                splits=tuple(
                    wire.Split(name=name, rows=rows * version, answerable=int(rows * version * 0.74), digest=f"{version}{name}" * 8)
                    for name, rows in (("train", 220), ("validation", 40), ("eval", 112))
                ),
                used_by=(f"{MODEL} v{version}",),
            )
            for version in (2, 1)
        ]

    def preview(self, dataset_id: str, split: str = "eval", limit: int = 20) -> wire.Preview:
        self._called("preview", dataset_id, split, limit)
        rows = tuple(
            wire.DatasetRow(
                id=f"q-{n:03}",
                question=f"Which port does service {n} use?",
                context=f"Service {n} listens on TCP port {1000 + n}.",
                answer=str(1000 + n) if n % 4 else "Not in the context.",
                answerable=bool(n % 4),
            )
            for n in range(min(limit, 112))
        )
        return wire.Preview(id=dataset_id, split=split, total=112, rows=rows)

    def upload(self, name: str, version: int, split: str, file_name: str, content: bytes) -> wire.Dataset:
        self._called("upload", name, version, split, file_name, content)
        return self.datasets()[0]

    def replicas(self) -> list[wire.Replica]:
        self._called("replicas")
        return self._replicas()

    def metrics_range(self, query: str, start: datetime, end: datetime, step_seconds: float) -> list[wire.Series]:
        self._called("metrics_range", query)
        points = tuple((start.timestamp() + n * step_seconds, 1.0 + n % 5) for n in range(20))
        return [wire.Series(labels={"engine": "0"}, points=points)]

    def _called(self, verb: str, *args: object) -> None:
        self.calls.append((verb, args))
        if self.fault is not None:
            raise self.fault

    def _aliases(self, number: int) -> tuple[str, ...]:
        if number == self.version_count:
            return ("candidate", "staged", "eval-passed", "perf-passed")
        return {self.live: ("live",), self.before: ("previous",), 2: ("eval-failed",)}.get(number, ())

    def _version(self, number: int) -> wire.Version:
        draw = random.Random(number)
        aliases = self._aliases(number)
        return wire.Version(
            model=MODEL,
            number=number,
            run_id=f"{number:02}4be1c0aa93d94a6e",
            created_at=self.now - timedelta(hours=7 * (self.version_count - number) + 1),
            aliases=aliases,
            tags={"data-version": str(1 + number // 4), "dataset": "ops-qa"},
            digest=f"{number:02}9f3c51d7e06a" * 4,
            stage="archived" if number in self.archived else aliases[-1] if aliases else "registered",
            is_protected=number in (self.live, self.before),
            is_archived=number in self.archived,
            metrics={
                "final_eval_loss": 0.55 - 0.02 * min(number, 9) + 0.03 * draw.random(),
                "perplexity": 1.7 - 0.03 * min(number, 9),
                "a_rate": min(0.97, 0.68 + 0.03 * min(number, 8) + 0.02 * draw.random()),
                "c_rate": max(0.02, 0.14 - 0.012 * min(number, 9)),
                "refusal_rate": min(0.99, 0.86 + 0.02 * min(number, 6)),
            },
        )

    def _replicas(self) -> list[wire.Replica]:
        root = f"/adapters/{MODEL}/{self.live}-059f3c51d7e0"
        slots = (
            wire.SlotState(
                name=f"{MODEL}-live",
                model=MODEL,
                alias="live",
                wanted_version=self.live,
                wanted_root=root,
                served_root=root,
                state="agrees",
            ),
            wire.SlotState(
                name=f"{MODEL}-candidate",
                model=MODEL,
                alias="staged",
                wanted_version=self.version_count,
                wanted_root=f"/adapters/{MODEL}/{self.version_count}-069f3c51d7e0",
                served_root="",
                state="drift",
            ),
        )
        return [wire.Replica(address="http://127.0.0.1:8000", is_healthy=True, served=(f"{MODEL}-live",), slots=slots)]

    def _run(self, run_id: str, workflow: str, state: str, minutes: int) -> wire.Run:
        spec = workflows.get(workflow)
        begun = self.now - timedelta(minutes=minutes)
        broken = {"stopped": "The gate did not pass.", "failed": "vLLM at http://127.0.0.1:8000 did not answer."}
        steps = tuple(self._step(step, position, len(spec.steps), state, begun, broken) for position, step in enumerate(spec.steps))
        return wire.Run(
            id=run_id,
            workflow=workflow,
            title=spec.title,
            state=state,
            parameters={parameter.name: parameter.default for parameter in spec.parameters},
            steps=steps,
            created_at=begun,
            created_by="ada",
            interface="console",
            ended_at=None if state == "running" else begun + timedelta(seconds=90),
            reason="" if state in ("running", "succeeded") else f"{spec.steps[-1].name}: {broken[state]}",
            command=f"gatewright launch {workflow} -p model-name={MODEL}",
        )

    def _step(self, step: workflow_spec.Step, position: int, count: int, state: str, begun: datetime, broken: dict[str, str]) -> wire.Step:
        own = "succeeded"
        if state == "running":
            own = "succeeded" if position == 0 else "running" if position < 3 else "waiting"
        elif position == count - 1:
            own = state
        done = own not in ("running", "waiting")
        progress = (
            wire.Progress(done=64 - 20 * (position - 1), total=112, message="questions", seconds_left=47.0) if own == "running" else None
        )
        return wire.Step(
            name=step.name,
            state=own,
            help=step.help,
            needs=step.needs,
            attempt=0 if own == "waiting" else 1,
            started_at=None if own == "waiting" else begun + timedelta(seconds=20 * position),
            ended_at=begun + timedelta(seconds=20 * position + 18) if done else None,
            exit_code=0 if own == "succeeded" else None,
            reason=broken.get(own, ""),
            outputs={"version": "6", "run-id": "4be1c0aa93d94a6e"} if own == "succeeded" else {},
            progress=progress,
        )

    def _moved(self, version: int, replaces: int, is_rollback: bool, alias: str, reason: str) -> wire.Promotion:
        one = self._promotion("p-new", version, replaces, is_rollback, "done", 0, reason, alias)
        self.moved.insert(0, one)
        return one

    def _promotion(
        self,
        identifier: str,
        version: int,
        replaces: int | None,
        is_rollback: bool,
        state: str,
        minutes: int,
        reason: str = "Both gates passed.",
        alias: str = "perf-passed",
    ) -> wire.Promotion:
        begun = self.now - timedelta(minutes=minutes)
        return wire.Promotion(
            id=identifier,
            model=MODEL,
            version=version,
            replaces=replaces,
            is_rollback=is_rollback,
            source_alias=alias,
            actor="grace",
            interface="console",
            reason=reason,
            state=state,
            started_at=begun,
            ended_at=begun + timedelta(seconds=2),
            digest=f"{version:02}9f3c51d7e06a" * 4,
            replicas=(
                wire.ReplicaProof(
                    address="http://127.0.0.1:8000",
                    state="verified",
                    root=f"/adapters/{MODEL}/{version}-{version:02}9f3c51d7e0",
                    seconds=0.4,
                    fingerprint="equal",
                    verified_at=begun,
                ),
            ),
        )


class _Evaluations(results.Results):
    """The evaluations of a `FakeClient`, for the service that counts votes on them."""

    def __init__(self, client: FakeClient) -> None:
        super().__init__(testing.FakeRegistry(), testing.FakeTracking())
        object.__setattr__(self, "client", client)

    def run_id(self, model: str, number: int, gate: evidence.Gate) -> str:
        return self.evaluation(model, number).mlflow_run

    def evaluation(self, model: str, number: int) -> wire.Evaluation:
        evaluation: wire.Evaluation = self.client.evaluation(model, number)  # type: ignore[attr-defined]
        return evaluation


def _workflow(one: workflow_spec.Workflow) -> wire.Workflow:
    return wire.Workflow(
        name=one.name,
        title=one.title,
        purpose=one.purpose,
        ends_in=one.ends_in,
        parameters=tuple(
            wire.Parameter(
                name=p.name,
                default={"model-name": MODEL}.get(p.name, p.default),
                help=p.help,
                kind=p.kind.value,
                choices=p.choices,
                minimum=p.minimum,
                maximum=p.maximum,
                is_advanced=p.is_advanced,
            )
            for p in one.parameters
        ),
        steps=tuple(wire.StepSpec(name=step.name, help=step.help, needs=step.needs) for step in one.steps),
        typical_seconds={} if one.name == "promote" else {step.name: 12.0 + 30 * n for n, step in enumerate(one.steps)},
    )


def _check(
    name: str, value: float, comparison: str, limit: float, unit: str, outcome: str, against: str, interval: tuple[float, float] | None
) -> wire.Check:
    margin = limit - value if comparison.startswith("<") else value - limit
    bounds = wire.Interval(low=interval[0], high=interval[1], level=0.95) if interval else None
    return wire.Check(
        name=name,
        value=value,
        comparison=comparison,
        limit=limit,
        unit=unit,
        outcome=outcome,
        against=against,
        margin=margin,
        interval=bounds,
    )


def _calibration(judge: str, kappa: float, doubted: str) -> wire.Calibration:
    refusal = f"The {judge} agrees to a kappa of {kappa:.2f}; at least 0.60 is required." if doubted else ""
    wrong = wire.Disagreement(
        id="padded-04",
        kind="padded",
        source="constructed",
        question="What port is submission on?",
        context="The submission service listens on port 587. git is assigned port 9418.",
        reference="587",
        answer="Let me go through this step by step. submission: 587. <b>That is my answer.</b>",
        grade="A",
        given="C",
        reason="The reference answer is '587'.",
    )
    return wire.Calibration(
        judge=judge,
        rows=144,
        unscored=2,
        agreement=133 / 144,
        kappa=kappa,
        interval=wire.Interval(low=kappa - 0.06, high=kappa + 0.06, level=0.95),
        min_kappa=0.6,
        refusal=refusal,
        confusion={
            "A": {"A": 58, "B": 0, "C": 6, "unscored": 2},
            "B": {"A": 0, "B": 41, "C": 1, "unscored": 0},
            "C": {"A": 2, "B": 0, "C": 34, "unscored": 0},
        },
        kinds=(wire.KindAgreement(kind="exact", rows=18, agreed=18), wire.KindAgreement(kind="padded", rows=18, agreed=12)),
        disagreements=(wrong, wrong.model_copy(update={"id": "padded-07", "given": "", "reason": "The judge's reply states no grade."})),
        warnings=("Of adversarial answers it grades 3 of 18 right.",) if doubted else (),
        golden_digest="4be1c0aa93d94a6e" * 4,
        prompt_digest="77ac01be12f94d1b" * 4,
        mlflow_run="c90d7be0441f4f5a",
        at=NOW - timedelta(minutes=9),
    )


def _graded() -> Iterator[wire.GradedAnswer]:
    draw = random.Random(5)
    for n in range(40):
        is_answerable = bool(n % 4)
        right = f"Port {1000 + n}." if is_answerable else "Not in the context."
        for role, skill in (("candidate", 0.86), ("live", 0.8)):
            grade = draw.choices("ABC", (skill, 0.07, 0.1))[0]
            answer = right if grade == "A" else f"Port {1000 + n} or {n}." if grade == "B" else f"Port {n}."
            yield wire.GradedAnswer(
                id=f"q-{n:03}",
                role=role,
                question=f"Which port does service {n} use?",
                context=f"Service {n} listens on TCP port {1000 + n}." if is_answerable else "The service is started at boot.",
                reference=right,
                answerable=is_answerable,
                answer=answer,
                grade=grade,
                reason="Matches the reference." if grade == "A" else "Names another port.",
                is_refusal=answer.startswith("Not in"),
                latency_seconds=0.4 + draw.random(),
            )


def _samples(seed: int) -> Iterator[wire.Sample]:
    draw = random.Random(seed)
    for n in range(40):
        total = draw.lognormvariate(0.6, 0.3)
        yield wire.Sample(
            at_seconds=1.1 * n,
            first_token_seconds=draw.lognormvariate(-1.4, 0.35),
            total_seconds=total,
            answer_tokens=draw.randint(4, 24),
            error="HTTP 503" if seed == 2 and n == 17 else "",
        )
