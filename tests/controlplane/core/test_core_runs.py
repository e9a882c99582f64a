"""The rule that moves a run: a table for each decision, and a machine that applies it under crashes, cancels and whatever ends a job."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controlplane.core import errors, runs, workflows

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUNNING = runs.JobStatus(is_running=True)
S = runs.State


def made(workflow: str = "training", cancel: bool = False, **states: str) -> runs.Run:
    """A run whose steps stand as given (underscores for dashes); a step that has run is at its first attempt."""
    run = runs.new(runs.RunId("r1"), workflows.get(workflow), {}, NOON, "ana", "cli")
    steps = []
    for step in run.steps:
        state = S(states.get(step.name.replace("-", "_"), "waiting"))
        steps.append(replace(step, state=state, attempt=0 if state is S.WAITING else 1, reason=f"{step.name} said so"))
    return replace(run, steps=tuple(steps), is_cancel_asked=cancel)


def ended(code: int | None, **outputs: str) -> runs.JobStatus:
    return runs.JobStatus(False, code, outputs, outputs.get("reason", ""))


STARTS = {
    "the first step of a new run": (made(), ["download-data"]),
    "the step whose needs succeeded": (made(download_data="succeeded"), ["train"]),
    "both sides of a fork": (
        made("evaluation", download_eval_data="succeeded", inference_base="succeeded"),
        ["inference-candidate", "inference-live"],
    ),
    "a step whose sources have all begun": (
        made(
            "evaluation",
            download_eval_data="succeeded",
            inference_base="succeeded",
            inference_candidate="succeeded",
            inference_live="running",
        ),
        ["judge-answers"],
    ),
    "nothing before all needs succeeded": (
        made(
            "evaluation",
            download_eval_data="succeeded",
            inference_base="succeeded",
            inference_candidate="succeeded",
            inference_live="running",
            judge_answers="succeeded",
        ),
        [],
    ),
}


@pytest.mark.parametrize(("run", "expected"), STARTS.values(), ids=STARTS.keys())
def test_starts(run: runs.Run, expected: list[str]) -> None:
    statuses = {step.name: RUNNING for step in run.steps if step.state is S.RUNNING}
    assert runs.decide(run, statuses, NOON) == [runs.Start(name, 1) for name in expected]


ENDS = {
    "done": (ended(0, a="1"), S.SUCCEEDED, ""),
    "a gate's no": (ended(1, outcome="fail", reason="too slow"), S.STOPPED, "too slow"),
    "a gate's no without words": (ended(1, outcome="fail"), S.STOPPED, "The gate did not pass."),
    "a failure": (ended(1), S.FAILED, "The job ended with exit status 1; its log says why."),
    "wrong arguments": (ended(2, reason="no such file"), S.FAILED, "no such file"),
    "a signal": (ended(137), S.FAILED, "The job ended with exit status 137; its log says why."),
    "vanished": (ended(None), S.FAILED, "The job vanished without an exit status; retry the run."),
}


@pytest.mark.parametrize(("status", "state", "reason"), ENDS.values(), ids=ENDS.keys())
def test_a_job_that_ended_finishes_its_step(status: runs.JobStatus, state: runs.State, reason: str) -> None:
    run = made(download_data="succeeded", train="running")
    assert runs.decide(run, {"train": status}, NOON) == [runs.Finish("train", state, status.exit_code, reason, status.outputs)]


@pytest.mark.parametrize(
    "status", [ended(1, outcome="fail"), ended(143), ended(None), ended(3)], ids=["gate", "signal", "vanished", "retry"]
)
def test_after_a_cancel_an_ended_job_is_cancelled(status: runs.JobStatus) -> None:
    run = made(cancel=True, download_data="running")
    expected = runs.Finish("download-data", S.CANCELLED, status.exit_code, "Cancelled on request.", status.outputs)
    assert runs.decide(run, {"download-data": status}, NOON) == [expected]


def test_a_job_that_made_it_despite_the_cancel_has_succeeded() -> None:
    run = made(cancel=True, download_data="running")
    assert runs.decide(run, {"download-data": ended(0)}, NOON) == [runs.Finish("download-data", S.SUCCEEDED, 0, "", {})]


@pytest.mark.parametrize(("attempt", "is_retried"), [(1, True), (2, True), (3, False)])
def test_a_failed_dependency_is_retried_as_often_as_the_step_allows(attempt: int, is_retried: bool) -> None:
    run = made(download_data="running")
    run = replace(run, steps=(replace(run.steps[0], attempt=attempt), *run.steps[1:]))
    actions = runs.decide(run, {"download-data": ended(3)}, NOON)
    assert isinstance(actions[0], runs.Hold if is_retried else runs.Finish)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 10), (2, 30), (5, 30)])
def test_a_retry_waits_for_what_did_not_answer(attempt: int, seconds: int) -> None:
    run = made(download_data="running")
    run = replace(run, steps=(replace(run.steps[0], attempt=attempt), *run.steps[1:]))
    held = runs.apply(run, runs.Hold("download-data", 3, "MLflow did not answer"), NOON)
    assert held.step("download-data").reason == "MLflow did not answer"
    assert held.step("download-data").retry_at == NOON + timedelta(seconds=seconds)
    assert runs.decide(held, {}, NOON + timedelta(seconds=seconds - 1)) == []
    assert runs.decide(held, {}, NOON + timedelta(seconds=seconds)) == [runs.Start("download-data", attempt + 1)]
    begun = runs.apply(held, runs.Start("download-data", attempt + 1), NOON, "h")
    assert begun.step("download-data").retry_at is None
    assert runs.merged(held, run) == held, "an older reading does not end the wait"


def test_a_cancel_does_not_wait_for_a_retry() -> None:
    held = runs.apply(made(cancel=True, download_data="running"), runs.Hold("download-data", 3, "away"), NOON)
    assert runs.decide(held, {}, NOON) == [runs.Close(S.CANCELLED, "Cancelled on request.")]


def test_no_retry_starts_in_a_run_that_another_step_has_ended() -> None:
    run = made("evaluation", download_eval_data="succeeded", inference_candidate="failed", inference_live="running")
    [action] = runs.decide(run, {"inference-live": ended(3)}, NOON)
    assert isinstance(action, runs.Finish)


def test_a_step_stopped_for_anothers_failure_does_not_hide_it() -> None:
    run = made("evaluation", download_eval_data="succeeded", inference_candidate="running", inference_live="failed")
    assert runs.decide(run, {"inference-candidate": RUNNING}, NOON) == [runs.Cancel("inference-candidate")]
    [finish] = runs.decide(run, {"inference-candidate": ended(143)}, NOON)
    assert isinstance(finish, runs.Finish)
    assert finish.state is S.CANCELLED
    assert runs.decide(runs.apply(run, finish, NOON), {}, NOON) == [runs.Close(S.FAILED, "inference-live: inference-live said so")]


CLOSES = {
    "all succeeded": (made(download_data="succeeded", train="succeeded", quality_gate="succeeded"), S.SUCCEEDED, ""),
    "a gate said no": (
        made(download_data="succeeded", train="succeeded", quality_gate="stopped"),
        S.STOPPED,
        "quality-gate: quality-gate said so",
    ),
    "a step failed": (made(download_data="failed"), S.FAILED, "download-data: download-data said so"),
    "cancelled before the start": (made(cancel=True), S.CANCELLED, "Cancelled on request."),
    "cancelled between steps": (made(cancel=True, download_data="succeeded"), S.CANCELLED, "Cancelled on request."),
    "cancelled too late": (made(cancel=True, download_data="succeeded", train="succeeded", quality_gate="succeeded"), S.SUCCEEDED, ""),
}


@pytest.mark.parametrize(("run", "state", "reason"), CLOSES.values(), ids=CLOSES.keys())
def test_closes(run: runs.Run, state: runs.State, reason: str) -> None:
    assert runs.decide(run, {}, NOON) == [runs.Close(state, reason)]


@pytest.mark.parametrize("state", [state for state in S if state.is_final])
def test_nothing_moves_a_closed_run(state: runs.State) -> None:
    assert runs.decide(replace(made(download_data="running"), state=state), {"download-data": ended(0)}, NOON) == []


def test_an_executor_that_does_not_answer_changes_nothing() -> None:
    assert runs.decide(made(download_data="running"), {}, NOON) == []


def test_a_run_of_another_workflow_version_says_so() -> None:
    run = replace(made(), steps=(runs.StepRun("train"),))
    with pytest.raises(errors.NotFound, match="download-data"):
        runs.decide(run, {}, NOON)


def test_a_retried_run_goes_on_from_what_did_not_succeed() -> None:
    failed = replace(made(cancel=True, download_data="succeeded", train="failed"), state=S.FAILED, reason="x", ended_at=NOON)
    retried = runs.retried(failed)
    assert runs.decide(retried, {}, NOON) == [runs.Start("train", 2)]
    assert (retried.is_cancel_asked, retried.reason, retried.ended_at) == (False, "", None)
    with pytest.raises(errors.Refused):
        runs.retried(retried)


def followed(live_started_after: int, **states: str) -> runs.Run:
    """An evaluation whose judge began at noon, and the live inference that many seconds after it."""
    run = made(
        "evaluation", **{"download_eval_data": "succeeded", "inference_base": "succeeded", "inference_candidate": "succeeded", **states}
    )
    started = {"judge-answers": NOON, "inference-live": NOON + timedelta(seconds=live_started_after)}
    return replace(run, steps=tuple(replace(step, started_at=started.get(step.name)) for step in run.steps))


def test_a_step_whose_source_began_anew_is_stopped_and_begins_anew() -> None:
    lost = followed(5, inference_live="running", judge_answers="running")
    assert runs.decide(lost, {"inference-live": RUNNING, "judge-answers": RUNNING}, NOON) == [runs.Cancel("judge-answers")]
    assert runs.decide(lost, {"inference-live": RUNNING, "judge-answers": ended(143)}, NOON) == [runs.Start("judge-answers", 2)]
    kept = followed(-5, inference_live="running", judge_answers="running")
    assert runs.decide(kept, {"inference-live": RUNNING, "judge-answers": RUNNING}, NOON) == []
    assert isinstance(runs.decide(kept, {"inference-live": RUNNING, "judge-answers": ended(143)}, NOON)[0], runs.Finish)


def test_what_was_read_from_a_step_that_failed_is_read_again_on_a_retry() -> None:
    failed = replace(followed(-5, inference_live="failed", judge_answers="succeeded"), state=S.FAILED)
    retried = runs.retried(failed)
    assert [step.name for step in retried.steps if step.state is S.WAITING] == ["inference-live", "judge-answers", "compare-decision"]


MERGES = {
    "a later attempt stays": (made(), ("running", 2), ("running", 1), ("running", 2)),
    "an end stays": (made(), ("failed", 1), ("running", 1), ("failed", 1)),
    "news are taken": (made(), ("running", 1), ("succeeded", 1), ("succeeded", 1)),
    "a retry is taken": (made(), ("running", 1), ("running", 2), ("running", 2)),
    "a closed run may start anew": (replace(made(), state=S.FAILED), ("failed", 1), ("waiting", 1), ("waiting", 1)),
}


@pytest.mark.parametrize(("run", "stored", "saved", "kept"), MERGES.values(), ids=MERGES.keys())
def test_a_save_from_an_older_reading_moves_nothing_backwards(
    run: runs.Run, stored: tuple[str, int], saved: tuple[str, int], kept: tuple[str, int]
) -> None:
    def first_step(state: str, attempt: int) -> runs.Run:
        return replace(run, steps=(replace(run.steps[0], state=S(state), attempt=attempt), *run.steps[1:]))

    assert runs.merged(first_step(*stored), replace(first_step(*saved), state=S.RUNNING)).steps[0] == first_step(*kept).steps[0]


class Dispatching(RuleBasedStateMachine):
    """Applies `decide` to one run and an executor that starts each (step, attempt) once, and crashes between starting and recording."""

    @initialize(name=st.sampled_from(sorted(workflows.WORKFLOWS)))
    def launch(self, name: str) -> None:
        self.workflow = workflows.get(name)
        self.run = runs.new(runs.RunId("r1"), self.workflow, {}, NOON, "ana", "cli")
        self.jobs: dict[tuple[str, int], runs.JobStatus] = {}
        self.has_been_cancelled = False
        self.clock = NOON

    @rule()
    def tick(self) -> None:
        self._tick(crash_after=None)

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        self.clock += timedelta(seconds=seconds)

    @rule(actions=st.integers(0, 2))
    def tick_and_crash(self, actions: int) -> None:
        self._tick(crash_after=actions)

    @rule(code=st.sampled_from([0, 0, 0, 1, 2, 3, 137, None]), outputs=st.sampled_from([{}, {"outcome": "fail"}]), data=st.data())
    @precondition(lambda self: any(job.is_running for job in self.jobs.values()))
    def a_job_ends(self, code: int | None, outputs: dict[str, str], data: st.DataObject) -> None:
        key = data.draw(st.sampled_from([key for key, job in self.jobs.items() if job.is_running]))
        self.jobs[key] = runs.JobStatus(False, code, outputs)

    @rule()
    @precondition(lambda self: not self.run.state.is_final)
    def ask_to_cancel(self) -> None:
        self.run = replace(self.run, is_cancel_asked=True)
        self.has_been_cancelled = True

    @invariant()
    def no_step_starts_more_often_than_allowed(self) -> None:
        for step in self.workflow.steps:
            attempts = sorted(attempt for name, attempt in self.jobs if name == step.name)
            assert attempts == list(range(1, len(attempts) + 1))
            begun_anew = sum(max(0, self.run.step(name).attempt - 1) for name in step.follows)
            assert len(attempts) <= step.max_retries + 1 + begun_anew

    @invariant()
    def one_job_a_step_runs_and_its_needs_have_succeeded(self) -> None:
        for step in self.workflow.steps:
            attempts = [job for (name, _), job in self.jobs.items() if name == step.name]
            assert not any(job.is_running for job in attempts[:-1])
            if attempts:
                assert all(self.run.step(name).state is S.SUCCEEDED for name in step.needs)
                assert all(self.run.step(name).attempt for name in step.follows)

    @invariant()
    def deciding_is_repeatable(self) -> None:
        assert runs.decide(self.run, self._statuses(), self.clock) == runs.decide(self.run, self._statuses(), self.clock)

    @invariant()
    def an_ended_run_has_no_running_job_and_a_true_state(self) -> None:
        if self.run.state.is_final:
            recorded = {(step.name, step.attempt) for step in self.run.steps if step.attempt}
            assert not any(self.jobs[key].is_running for key in recorded)
            assert (self.run.state is S.SUCCEEDED) == all(step.state is S.SUCCEEDED for step in self.run.steps)
            assert self.run.state is not S.CANCELLED or self.has_been_cancelled
            assert self.run.reason or self.run.state is S.SUCCEEDED

    def teardown(self) -> None:
        """However far it came, the run ends once its jobs do."""
        if not hasattr(self, "run"):
            return
        for _ in range(10 * len(self.run.steps)):
            for key, job in self.jobs.items():
                if job.is_running:
                    self.jobs[key] = runs.JobStatus(False, 0)
            self.clock += timedelta(minutes=1)
            self._tick(crash_after=None)
        assert self.run.state.is_final

    def _tick(self, crash_after: int | None) -> None:
        for number, action in enumerate(runs.decide(self.run, self._statuses(), self.clock)):
            if isinstance(action, runs.Start):
                self._start(action)
            if isinstance(action, runs.Cancel):
                key = (action.step, self.run.step(action.step).attempt)
                self.jobs[key] = runs.JobStatus(False, 143)
            if number == crash_after:
                return
            self.clock += timedelta(seconds=1)
            self.run = runs.apply(self.run, action, self.clock, "handle")

    def _start(self, action: runs.Start) -> None:
        assert not self.run.state.is_final
        assert action.attempt == self.run.step(action.step).attempt + 1
        self.jobs.setdefault((action.step, action.attempt), RUNNING)

    def _statuses(self) -> dict[str, runs.JobStatus]:
        return {step.name: self.jobs[step.name, step.attempt] for step in self.run.steps if step.state is S.RUNNING}


TestDispatching = Dispatching.TestCase
TestDispatching.settings = settings(max_examples=150, stateful_step_count=40)
