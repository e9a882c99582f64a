"""What pages read from the API, cached for seconds, shared by all. A silent API leaves the last answer standing, marked stale."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import streamlit as st

from console import session
from controlplane import wire
from controlplane.core import errors

# A verb of the client, its arguments, its options by name.
_Question = tuple[str, tuple[Any, ...], tuple[tuple[str, Any], ...]]

_STALE = "app_stale_since"
_LINES = "app_lines"


def begin() -> None:
    """A page starts drawing: nothing on it is stale yet."""
    st.session_state.pop(_STALE, None)


def stale_since() -> datetime | None:
    """When the oldest answer on this page was read, if the API has not answered since."""
    return cast(datetime | None, st.session_state.get(_STALE))


def forget() -> None:
    """Drop all cached answers: after a change, or when somebody asks for fresh ones."""
    st.cache_data.clear()
    _ask_shared.clear()


def forget_reviews(model: str, number: int) -> None:
    """Drop what a vote or a grade changes, and keep the rest: the next row must appear at once."""
    for verb in ("review", "grades", "exported_votes", "golden_rows"):
        _ask.clear(verb, (model, number), ())


def health() -> wire.Health:
    return cast(wire.Health, _read("health"))


def overview() -> wire.Overview:
    return cast(wire.Overview, _read("overview"))


def workflows() -> list[wire.Workflow]:
    return cast(list[wire.Workflow], _read_seldom("workflows"))


def runs(workflow: str, is_active: bool, limit: int) -> list[wire.Run]:
    return cast(list[wire.Run], _read("runs", workflow=workflow, is_active=is_active, limit=limit))


def run(run_id: str) -> wire.Run:
    return cast(wire.Run, _read("run", run_id))


def progress(run_id: str) -> wire.RunProgress:
    return cast(wire.RunProgress, _read("progress", run_id))


def logs(run_id: str) -> list[wire.LogLine]:
    """Every line so far of the run this visitor watches; the API is asked for those after the last one known only."""
    read_at, known = st.session_state.get(_LINES, {}).get(run_id, (session.now(), []))
    try:
        known = [*known, *session.reader().logs(run_id, known[-1].id if known else "")]
        read_at = session.now()
    except errors.Unreachable:
        if not known:
            raise
        st.session_state[_STALE] = min(read_at, stale_since() or read_at)
    st.session_state[_LINES] = {run_id: (read_at, known)}
    return cast(list[wire.LogLine], known)


def models() -> list[wire.Model]:
    return cast(list[wire.Model], _read("models"))


def versions(model: str) -> list[wire.Version]:
    return cast(list[wire.Version], _read("versions", model))


def version(model: str, number: int) -> wire.VersionDetail:
    return cast(wire.VersionDetail, _read("version", model, number))


def card(model: str, number: int) -> str:
    return cast(str, _read_seldom("card", model, number))


def plan(model: str, source_alias: str) -> wire.Plan:
    return cast(wire.Plan, _read("plan", model, source_alias))


def promotions(model: str, limit: int) -> list[wire.Promotion]:
    return cast(list[wire.Promotion], _read("promotions", model, limit=limit))


def evaluation(model: str, number: int) -> wire.Evaluation:
    return cast(wire.Evaluation, _read("evaluation", model, number))


def performance(model: str, number: int, run: str) -> wire.Performance:
    """`run`: the version's newest load test by its tags, so that a newer one is asked for at once."""
    question: _Question = ("performance", (model, number), ())
    return cast(wire.Performance, _kept(question, lambda: _ask_shared(*question, run)))


def calibrations() -> list[wire.Calibration]:
    return cast(list[wire.Calibration], _read("calibrations"))


def evaluation_to_review(model: str, number: int) -> wire.Evaluation:
    """For longer than other reads: a review reads it at every vote, and a vote on answers of an older evaluation is refused."""
    return cast(wire.Evaluation, _read_seldom("evaluation", model, number))


def votes(model: str) -> list[wire.VoteRecord]:
    return cast(list[wire.VoteRecord], _read("votes", model))


def review(model: str, number: int) -> wire.Review:
    return cast(wire.Review, _read("review", model, number))


def grades(model: str, number: int) -> list[wire.GradeRecord]:
    return cast(list[wire.GradeRecord], _read("grades", model, number))


def exported_votes(model: str, number: int) -> list[wire.ExportedVote]:
    return cast(list[wire.ExportedVote], _read("exported_votes", model, number))


def golden_rows(model: str, number: int) -> list[wire.GoldenRow]:
    return cast(list[wire.GoldenRow], _read("golden_rows", model, number))


def datasets() -> list[wire.Dataset]:
    return cast(list[wire.Dataset], _read("datasets"))


def preview(dataset: str, split: str, limit: int) -> wire.Preview:
    return cast(wire.Preview, _read_seldom("preview", dataset, split=split, limit=limit))


def replicas() -> list[wire.Replica]:
    return cast(list[wire.Replica], _read("replicas"))


def series(query: str, start: datetime, end: datetime, step_seconds: float) -> list[wire.Series]:
    """Not kept for when the API is silent: a window that moves is another question each time, and would fill the memory."""
    return cast(list[wire.Series], _ask_seldom("metrics_range", (query, start, end, step_seconds), ())[1])


def _read(verb: str, *args: Any, **options: Any) -> Any:
    question = (verb, args, tuple(sorted(options.items())))
    return _kept(question, lambda: _ask(*question))


def _read_seldom(verb: str, *args: Any, **options: Any) -> Any:
    question = (verb, args, tuple(sorted(options.items())))
    return _kept(question, lambda: _ask_seldom(*question))


def _kept(question: _Question, ask: Callable[[], tuple[datetime, Any]]) -> Any:
    """The cached answer; this visitor's last one when the API cannot be reached now."""
    answers: dict[_Question, tuple[datetime, Any]] = st.session_state.setdefault("app_answers", {})
    try:
        answers[question] = ask()
    except errors.Unreachable:
        if question not in answers:
            raise
        st.session_state[_STALE] = min(answers[question][0], stale_since() or answers[question][0])
    return answers[question][1]


@st.cache_data(ttl=3, max_entries=512, show_spinner=False)
def _ask(verb: str, args: tuple[Any, ...], options: tuple[tuple[str, Any], ...]) -> tuple[datetime, Any]:
    return session.now(), getattr(session.reader(), verb)(*args, **dict(options))


@st.cache_data(ttl=60, max_entries=256, show_spinner=False)
def _ask_seldom(verb: str, args: tuple[Any, ...], options: tuple[tuple[str, Any], ...]) -> tuple[datetime, Any]:
    return session.now(), getattr(session.reader(), verb)(*args, **dict(options))


@st.cache_resource(ttl=60, max_entries=32, show_spinner=False)
def _ask_shared(verb: str, args: tuple[Any, ...], options: tuple[tuple[str, Any], ...], mark: str) -> tuple[datetime, Any]:  # noqa: ARG001 - part of the key
    """For large bodies: all share one, which nobody can change, instead of a copy each. Another `mark` is another answer."""
    return session.now(), getattr(session.reader(), verb)(*args, **dict(options))
