"""Typed HTTP client of our own API: for the console, the command line and anyone's script. It calls and parses; no rule lives here.

Every method raises the errors of `core.errors`, rebuilt from the API's problem document, with the attribute `request_id`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import httpx_sse
import pydantic

from controlplane import wire
from controlplane.core import errors

SYSTEM = "The Gatewright API"
# A stream is silent for at most the keep-alive interval of the API (10 s); twice that means that the connection is dead.
STREAM_SILENCE_SECONDS = 25.0
# Less than the API keeps an idle connection (5 s), so that no request meets one that is just being closed.
IDLE_SECONDS = 2.0

_Body = TypeVar("_Body", bound=pydantic.BaseModel)
_PLAIN = {
    "invalid-input": errors.InvalidInput,
    "not-found": errors.NotFound,
    "refused": errors.Refused,
    "unauthorized": errors.Refused,
    "conflict": errors.Conflict,
    "no-space": errors.NoSpace,
}
_OUTSIDE = {"unreachable": errors.Unreachable, "outside-error": errors.OutsideError}


class Client:
    """One connection pool to one API. Usable from several threads; close it, or use it in a `with` block.

    Args:
        actor: who asks, for the ledger.
        interface: console, cli or api.
        timeout_seconds: for one whole answer; a stream may last longer.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str = "",
        actor: str = "",
        interface: str = "api",
        timeout_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"X-Gatewright-Interface": interface}
        if actor:
            headers["X-Gatewright-Actor"] = quote(actor, safe=" @.+-_")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(
            base_url=f"{self.base_url}/api/v1/",
            headers=headers,
            timeout=httpx.Timeout(timeout_seconds, connect=min(5.0, timeout_seconds)),
            limits=httpx.Limits(keepalive_expiry=IDLE_SECONDS),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # -- the whole ----------------------------------------------------------------------------------------------------------------

    def health(self) -> wire.Health:
        return self._one(wire.Health, "GET", "systems")

    def overview(self) -> wire.Overview:
        return self._one(wire.Overview, "GET", "overview")

    # -- workflows and runs -------------------------------------------------------------------------------------------------------

    def workflows(self) -> list[wire.Workflow]:
        return self._many(wire.Workflow, "GET", "workflows")

    def launch(self, workflow: str, parameters: Mapping[str, str]) -> wire.Run:
        return self._one(wire.Run, "POST", "jobs", body=wire.Launch(workflow=workflow, parameters=parameters))

    def runs(self, *, workflow: str = "", is_active: bool = False, limit: int = 50) -> list[wire.Run]:
        return self._many(wire.Run, "GET", "jobs", params={"workflow": workflow, "is_active": is_active, "limit": limit})

    def run(self, run_id: str) -> wire.Run:
        return self._one(wire.Run, "GET", f"jobs/{_part(run_id)}")

    def progress(self, run_id: str) -> wire.RunProgress:
        return self._one(wire.RunProgress, "GET", f"jobs/{_part(run_id)}/progress")

    def cancel(self, run_id: str) -> wire.Run:
        return self._one(wire.Run, "DELETE", f"jobs/{_part(run_id)}")

    def retry(self, run_id: str) -> wire.Run:
        """A new run with the same parameters, which takes over the steps that succeeded."""
        return self._one(wire.Run, "POST", f"jobs/{_part(run_id)}/retry")

    def logs(self, run_id: str, after: str = "") -> list[wire.LogLine]:
        """The lines there are now, after the line of this id."""
        return self._many(wire.LogLine, "GET", f"logs/history/{_part(run_id)}", params={"after": after})

    def stream_logs(self, run_id: str, last_event_id: str = "") -> Iterator[wire.LogLine]:
        """Lines as they come, from after `last_event_id`; ends when the run ends."""
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        for event in self._events("GET", f"logs/stream/{_part(run_id)}", headers=headers):
            if event.event == "line":
                yield self._parsed(wire.LogLine, event.data)

    # -- models -------------------------------------------------------------------------------------------------------------------

    def models(self) -> list[wire.Model]:
        return self._many(wire.Model, "GET", "models")

    def model(self, name: str) -> wire.Model:
        return self._one(wire.Model, "GET", f"models/{_part(name)}")

    def versions(self, name: str) -> list[wire.Version]:
        return self._many(wire.Version, "GET", f"models/{_part(name)}/versions")

    def version(self, name: str, number: int) -> wire.VersionDetail:
        return self._one(wire.VersionDetail, "GET", f"models/{_part(name)}/versions/{number}")

    def card(self, name: str, number: int) -> str:
        """The model card, as Markdown."""
        return self._send("GET", f"models/{_part(name)}/versions/{number}/card").text

    def download(self, name: str, number: int) -> bytes:
        """The adapter's files and its card, as a zip archive."""
        return self._send("GET", f"models/{_part(name)}/versions/{number}/download").content

    def evaluation(self, name: str, version: int) -> wire.Evaluation:
        """Raises NotFound when Gate 1 was never run for this version."""
        return self._one(wire.Evaluation, "GET", f"models/{_part(name)}/versions/{version}/evaluation")

    def performance(self, name: str, version: int) -> wire.Performance:
        """Raises NotFound when Gate 2 was never run for this version."""
        return self._one(wire.Performance, "GET", f"models/{_part(name)}/versions/{version}/performance")

    # -- promotion ----------------------------------------------------------------------------------------------------------------

    def plan(self, name: str, source_alias: str = "perf-passed") -> wire.Plan:
        return self._one(wire.Plan, "GET", f"models/{_part(name)}/plan", params={"source_alias": source_alias})

    def promote(
        self, name: str, source_alias: str, reason: str, *, override: bool = False, expected_live: int | None = None
    ) -> wire.Promotion:
        """Returns when every replica answers from the version and the aliases have moved.

        Args:
            expected_live: the version the caller saw live, 0 for none; raises Conflict when another one is by now.
        """
        body = wire.Promote(source_alias=source_alias, reason=reason, override=override, expected_live=expected_live)
        return self._one(wire.Promotion, "POST", f"models/{_part(name)}/promotions", body=body)

    def rollback(self, name: str, reason: str, *, expected_live: int | None = None) -> wire.Promotion:
        body = wire.Rollback(reason=reason, expected_live=expected_live)
        return self._one(wire.Promotion, "POST", f"models/{_part(name)}/rollback", body=body)

    def drift(self, name: str) -> list[wire.AliasDrift]:
        """Aliases that were moved outside Gatewright."""
        return self._many(wire.AliasDrift, "GET", f"models/{_part(name)}/drift")

    def adopt(self, name: str, reason: str) -> None:
        """Serve what somebody made live in the registry itself."""
        self._send("POST", f"models/{_part(name)}/drift", content=_json(wire.Settle(action="adopt", reason=reason)))

    def revert(self, name: str, reason: str) -> None:
        """Put the aliases back to where the last decision put them."""
        self._send("POST", f"models/{_part(name)}/drift", content=_json(wire.Settle(action="revert", reason=reason)))

    def archive(self, name: str, number: int, reason: str) -> wire.Version:
        """Puts a version aside, without its aliases. Raises Refused for one that is live or previous."""
        return self._one(wire.Version, "POST", f"models/{_part(name)}/versions/{number}/archive", body=wire.Reasoned(reason=reason))

    def restore(self, name: str, number: int, reason: str) -> wire.Version:
        return self._one(wire.Version, "POST", f"models/{_part(name)}/versions/{number}/restore", body=wire.Reasoned(reason=reason))

    def remove(self, name: str, number: int, reason: str) -> None:
        """Deletes a version. Raises Refused for one that is live or previous."""
        self._send("DELETE", f"models/{_part(name)}/versions/{number}", params={"reason": reason})

    def live_at(self, name: str, moment: datetime) -> wire.Event | None:
        """The ledger's entry that made live what was live then; None when nothing was."""
        response = self._send("GET", f"models/{_part(name)}/live", params={"at": moment.isoformat()})
        return None if response.text == "null" else self._parsed(wire.Event, response.content)

    def audit(self) -> wire.Audit:
        return self._one(wire.Audit, "GET", "audit")

    def promotions(self, name: str = "", limit: int = 100) -> list[wire.Promotion]:
        path = f"models/{_part(name)}/promotions" if name else "promotions"
        return self._many(wire.Promotion, "GET", path, params={"limit": limit})

    def history(self, name: str, limit: int = 100) -> list[wire.Event]:
        return self._many(wire.Event, "GET", f"models/{_part(name)}/history", params={"limit": limit})

    # -- comparison ---------------------------------------------------------------------------------------------------------------

    def compare(self, comparison: wire.Comparison) -> Iterator[wire.ComparisonEvent]:
        """Pieces of both answers as they stream, interleaved."""
        for event in self._events("POST", "comparisons", body=comparison):
            if event.event == "piece":
                yield self._parsed(wire.ComparisonEvent, event.data)

    def judge(self, request: wire.JudgeRequest) -> wire.JudgeAnswer:
        return self._one(wire.JudgeAnswer, "POST", "comparisons/judge", body=request)

    def vote(self, vote: wire.Vote) -> wire.VoteRecord:
        return self._one(wire.VoteRecord, "POST", "votes", body=vote)

    def votes(self, model: str, *, version: int | None = None, evaluation_run: str = "") -> list[wire.VoteRecord]:
        """Newest first: of all versions, of one candidate, or on the rows of one evaluation."""
        params = {"model": model, "version": version, "evaluation_run": evaluation_run}
        return self._many(wire.VoteRecord, "GET", "votes", params=params)

    def exported_votes(self, model: str, version: int | None = None) -> list[wire.ExportedVote]:
        """Every vote with the answers it was about, oldest first."""
        return self._many(wire.ExportedVote, "GET", "votes/export", params={"model": model, "version": version})

    # -- people's reviews ---------------------------------------------------------------------------------------------------------

    def review(self, name: str, version: int) -> wire.Review:
        """Raises NotFound when the version was never evaluated."""
        return self._one(wire.Review, "GET", f"models/{_part(name)}/versions/{version}/review")

    def grades(self, name: str, version: int) -> list[wire.GradeRecord]:
        """People's grades of the newest evaluation's answers."""
        return self._many(wire.GradeRecord, "GET", f"models/{_part(name)}/versions/{version}/grades")

    def grade(self, name: str, version: int, correction: wire.GradeCorrection) -> wire.GradeRecord:
        """Raises Conflict when the version was evaluated again since `correction.evaluation_run`."""
        return self._one(wire.GradeRecord, "POST", f"models/{_part(name)}/versions/{version}/grades", body=correction)

    def golden_rows(self, name: str, version: int) -> list[wire.GoldenRow]:
        """Answers whose right grade people agree on."""
        return self._many(wire.GoldenRow, "GET", f"models/{_part(name)}/versions/{version}/golden")

    def calibrations(self) -> list[wire.Calibration]:
        """The newest of each judge, newest first."""
        return self._many(wire.Calibration, "GET", "judge/calibrations")

    # -- data, serving, metrics ---------------------------------------------------------------------------------------------------

    def datasets(self) -> list[wire.Dataset]:
        return self._many(wire.Dataset, "GET", "datasets")

    def dataset(self, dataset_id: str) -> wire.Dataset:
        return self._one(wire.Dataset, "GET", f"datasets/{_part(dataset_id)}")

    def preview(self, dataset_id: str, split: str = "eval", limit: int = 20) -> wire.Preview:
        return self._one(wire.Preview, "GET", f"datasets/{_part(dataset_id)}/preview", params={"split": split, "limit": limit})

    def upload(self, name: str, version: int, split: str, file_name: str, content: bytes) -> wire.Dataset:
        """Raises InvalidInput naming file, line and field of the first fault; nothing is kept then."""
        response = self._send(
            "POST",
            "datasets/upload",
            data={"name": name, "version": str(version), "split": split},
            files={"file": (file_name, content, "application/jsonl")},
        )
        return self._parsed(wire.Dataset, response.content)

    def replicas(self) -> list[wire.Replica]:
        return self._many(wire.Replica, "GET", "serving/replicas")

    def metrics_range(self, query: str, start: datetime, end: datetime, step_seconds: float) -> list[wire.Series]:
        params = {"query": query, "start": start.isoformat(), "end": end.isoformat(), "step_seconds": step_seconds}
        return self._many(wire.Series, "GET", "metrics/range", params=params)

    # -- one request --------------------------------------------------------------------------------------------------------------

    def _one(
        self, kind: type[_Body], method: str, path: str, *, body: wire.Body | None = None, params: Mapping[str, Any] | None = None
    ) -> _Body:
        return self._parsed(kind, self._send(method, path, content=_json(body), params=_given(params)).content)

    def _many(self, kind: type[_Body], method: str, path: str, *, params: Mapping[str, Any] | None = None) -> list[_Body]:
        content = self._send(method, path, params=_given(params)).content
        try:
            return pydantic.TypeAdapter(list[kind]).validate_json(content)  # type: ignore[valid-type]
        except pydantic.ValidationError as error:
            raise self._unreadable(error) from error

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        if arguments.get("content"):
            arguments["headers"] = {"Content-Type": "application/json"}
        with self._translated():
            response = self._http.request(method, path, **arguments)
        if response.is_error:
            raise self._error(response)
        return response

    def _events(
        self, method: str, path: str, *, body: wire.Body | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[httpx_sse.ServerSentEvent]:
        given = {**(headers or {}), **({"Content-Type": "application/json"} if body else {})}
        silence = httpx.Timeout(STREAM_SILENCE_SECONDS, connect=5.0)
        with (
            self._translated(),
            httpx_sse.connect_sse(self._http, method, path, content=_json(body), headers=given, timeout=silence) as source,
        ):
            if source.response.is_error:
                source.response.read()
                raise self._error(source.response)
            for event in source.iter_sse():
                if event.event == "error":
                    raise self._from_problem(self._parsed(wire.Problem, event.data))
                yield event

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise self._unreachable(f"no answer in time ({type(error).__name__})") from error
        except httpx.TransportError as error:
            raise self._unreachable(str(error) or type(error).__name__) from error
        except httpx.InvalidURL as error:
            raise errors.InvalidInput(f"{self.base_url!r} is not the address of an API: {error}.") from error

    def _error(self, response: httpx.Response) -> errors.GatewrightError:
        try:
            problem = wire.Problem.model_validate_json(response.content)
        except pydantic.ValidationError:
            reason = f"status {response.status_code} without a problem document"
            error = errors.OutsideError(SYSTEM, self.base_url, reason, hint="Check that the address is that of a Gatewright API.")
            return _with_request_id(error, response.headers.get("X-Request-Id", ""))
        return self._from_problem(problem)

    def _from_problem(self, problem: wire.Problem) -> errors.GatewrightError:
        kind = problem.type.rpartition(":")[2].rpartition("/")[2]
        error: errors.GatewrightError
        if kind in _PLAIN:
            error = _PLAIN[kind](problem.detail, hint=problem.hint)
        elif kind in _OUTSIDE:
            error = _OUTSIDE[kind](problem.system or SYSTEM, problem.address or self.base_url, problem.title, hint=problem.hint)
            error.detail = problem.detail
        else:
            error = errors.OutsideError(SYSTEM, self.base_url, problem.title, hint=problem.hint)
            error.detail = problem.detail
        return _with_request_id(error, problem.request_id)

    def _parsed(self, kind: type[_Body], content: bytes | str) -> _Body:
        try:
            return kind.model_validate_json(content)
        except pydantic.ValidationError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: pydantic.ValidationError) -> errors.GatewrightError:
        reason = f"its answer cannot be read ({error.error_count()} faults)"
        hint = "Use a client and an API of the same version."
        return _with_request_id(errors.OutsideError(SYSTEM, self.base_url, reason, hint=hint), "")

    def _unreachable(self, reason: str) -> errors.GatewrightError:
        hint = "Start it with `gatewright up`, or set GATEWRIGHT_API_URL."
        return _with_request_id(errors.Unreachable(SYSTEM, self.base_url, reason, hint=hint), "")


def _with_request_id(error: errors.GatewrightError, request_id: str) -> errors.GatewrightError:
    error.request_id = request_id
    return error


def _part(name: str) -> str:
    """One path segment: a name can never reach another route."""
    return quote(name, safe="") or "-"


def _json(body: wire.Body | None) -> str | None:
    return None if body is None else body.model_dump_json()


def _given(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return {name: value for name, value in (params or {}).items() if value not in ("", None, False)} or None
