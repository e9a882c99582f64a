"""Evaluation: is it better, and how sure are we? Gate 1 of one version."""

from __future__ import annotations

from typing import Any

import pandas
import streamlit as st

from console import charts, components, markup, reads, session, tables
from controlplane import wire
from controlplane.core import errors

_QUESTION = "Is it better, and how sure are we?"
_GRADES = {"A": "A right", "B": "B partly", "C": "C wrong"}
_FILTERS = ("all", "only different", "regressions")


def draw() -> None:
    place = st.empty()
    left, right = st.columns(2)
    with left:
        model = components.choose_model("evaluation")
    if not model:
        return
    with right:
        number = components.choose_newest("evaluation", reads.versions(model), ("eval-passed", "eval-failed", "live"))
    if number is None:
        return
    try:
        evaluation = reads.evaluation(model, number)
    except errors.NotFound:
        _not_run(place, model, number)
        return
    with place:
        components.headline(_QUESTION, _answer(evaluation), components.outcome_tone(evaluation.verdict.outcome))
    _card(evaluation)
    components.link("review", "Review the answers blind", ":material/how_to_vote:", model=model, version=number)
    _charts(evaluation)
    _rows(evaluation)


def _not_run(place: st.delta_generator.DeltaGenerator, model: str, number: int) -> None:
    with place:
        components.headline(_QUESTION, f"Nobody knows yet: Gate 1 was never run for {model} v{number}.", "broken")
    components.empty("No evaluation of this version.", "Stage the version (deployment), then launch the evaluation workflow.")
    components.link("launch", "Launch the evaluation", ":material/play_circle:", workflow="evaluation")


def _answer(evaluation: wire.Evaluation) -> str:
    name = f"{evaluation.model} v{evaluation.version}"
    counts = tables.grade_counts(evaluation.rows).get("candidate", {})
    asked = tables.count(sum(counts.values()), "question")
    words = {
        "pass": "is good enough",
        "fail": "is not good enough",
        "inconclusive": "cannot be judged yet",
        "error": "was not judged: the tool broke",
    }
    how_sure = (
        "with confidence intervals" if any(check.interval for check in evaluation.verdict.checks) else "by point values, without intervals"
    )
    return f"{name} {words[evaluation.verdict.outcome]}: {tables.tally(evaluation.verdict)} Measured on {asked}, decided {how_sure}."


def _card(evaluation: wire.Evaluation) -> None:
    data = " ".join(part for part in (evaluation.parameters.get("dataset", ""), _data_version(evaluation)) if part)
    footer = [
        f"judge: <strong>{markup.text(evaluation.judge)}</strong>",
        *([f"data: {markup.text(data)}"] if data else []),
        f"MLflow run {markup.identifier(evaluation.mlflow_run)}",
        markup.when(evaluation.at, session.now()),
    ]
    st.html(markup.verdict(evaluation.verdict, f"Gate 1, evaluation · {evaluation.model} v{evaluation.version}", footer))


def _data_version(evaluation: wire.Evaluation) -> str:
    version = evaluation.parameters.get("data-version", evaluation.parameters.get("data_version", ""))
    return f"v{version}" if version else ""


def _charts(evaluation: wire.Evaluation) -> None:
    colours = components.colours()
    left, right = st.columns(2, gap="large")
    with left:
        if any(check.interval and check.against == "live" for check in evaluation.verdict.checks):
            components.title("Candidate against live, row by row")
            st.plotly_chart(charts.differences(evaluation.verdict, colours), key="evaluation_differences", theme=None)
        else:
            components.title("Values against their limits")
            st.plotly_chart(charts.checks(evaluation.verdict, colours), key="evaluation_checks", theme=None)
    with right:
        components.title("Grades")
        st.plotly_chart(charts.grades(tables.grade_counts(evaluation.rows), colours), key="evaluation_grades", theme=None)


def _rows(evaluation: wire.Evaluation) -> None:
    components.title("Answers, row by row")
    pairs = tables.paired(evaluation.rows)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    with left:
        counts = dict(zip(_FILTERS, (len(pairs), _count(pairs, "is_different"), _count(pairs, "is_regression")), strict=True))
        wanted = st.segmented_control(
            "Show", _FILTERS, default="all", key="evaluation_filter", format_func=lambda name: f"{name} ({counts[name]})", required=True
        )
    search = right.text_input("Search", key="evaluation_search", placeholder="words in question or answer", icon=":material/search:")
    shown = [pair for pair in pairs if _matches(pair, wanted or "all", search.lower())]
    components.told("evaluation_grade")
    if not shown:
        components.empty("No row matches.", "Choose another filter or clear the search.")
        return
    st.dataframe(
        pandas.DataFrame([_cells(pair) for pair in shown]),
        hide_index=True,
        height=min(38 + 35 * len(shown), 280),
        key="evaluation_table",
        on_select=lambda: _select(shown),
        selection_mode="single-row",
        alt="Graded answers of candidate and live",
    )
    _one(evaluation, shown)


def _count(pairs: list[dict[str, Any]], flag: str) -> int:
    return sum(bool(pair[flag]) for pair in pairs)


def _matches(pair: dict[str, Any], wanted: str, search: str) -> bool:
    if (wanted == "only different" and not pair["is_different"]) or (wanted == "regressions" and not pair["is_regression"]):
        return False
    said = " ".join(pair[side].answer for side in ("candidate", "live") if pair[side])
    return search in f"{pair['question']} {said}".lower()


def _cells(pair: dict[str, Any]) -> dict[str, object]:
    candidate, live = pair["candidate"], pair["live"]
    return {
        "Row": pair["id"],
        "Question": pair["question"],
        "Candidate": candidate.answer if candidate else tables.NOTHING,
        "Candidate's grade": (candidate.grade or "unscored") if candidate else tables.NOTHING,
        "Live": live.answer if live else tables.NOTHING,
        "Live's grade": (live.grade or "unscored") if live else tables.NOTHING,
        "": "↓ worse" if pair["is_regression"] else ("≠" if pair["is_different"] else ""),
    }


def _select(shown: list[dict[str, Any]]) -> None:
    ticked = st.session_state["evaluation_table"]["selection"]["rows"]
    if ticked:
        st.query_params["row"] = shown[ticked[0]]["id"]


def _one(evaluation: wire.Evaluation, shown: list[dict[str, Any]]) -> None:
    """One row with both answers; previous and next by button or key."""
    ids = [pair["id"] for pair in shown]
    place = ids.index(session.parameter("row")) if session.parameter("row") in ids else 0
    pair = shown[place]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Previous", key="evaluation_previous", shortcut="k", disabled=place == 0, on_click=_go, args=(ids, place - 1))
        st.button("Next", key="evaluation_next", shortcut="j", disabled=place == len(ids) - 1, on_click=_go, args=(ids, place + 1))
        st.html(f"<span class='gw-muted'>row {place + 1} of {len(ids)}</span> {markup.identifier(pair['id'], 24)}")
    kind = "can be answered" if pair["answerable"] else "cannot be answered: must be refused"
    st.html(
        markup.facts(
            [
                ("Question", markup.text(pair["question"])),
                ("Context", markup.text(pair["context"] or "(none)")),
                (f"Reference answer ({kind})", markup.text(pair["reference"])),
            ],
            is_wide=True,
        )
    )
    sides = [(side, pair[side]) for side in ("candidate", "live") if pair[side] is not None]
    for column, (side, answer) in zip(st.columns(2), sides, strict=False):
        other = next((one.answer for name, one in sides if name != side), answer.answer)
        footer = f"{markup.grade(answer.grade)} {markup.text(answer.reason)} · {tables.seconds(answer.latency_seconds)}"
        column.html(markup.side(side, markup.role(side), markup.differing(answer.answer, other, side), footer))
        with column:
            _right_grade(evaluation, answer)


def _right_grade(evaluation: wire.Evaluation, answer: wire.GradedAnswer) -> None:
    """A person's own grade of this answer; agreed grades become golden rows for measuring the judge."""
    key = f"evaluation_grade_{evaluation.mlflow_run}_{answer.id}_{answer.role}"
    given = {one.actor: one.correction.grade for one in reads.grades(evaluation.model, evaluation.version) if _is_about(one, answer)}
    own = given.pop(session.actor(), None)
    st.session_state.setdefault(key, own)
    st.segmented_control(
        "The right grade is",
        list(_GRADES),
        key=key,
        format_func=_GRADES.__getitem__,
        help="Your own grade of this answer, kept with your name. Press it again to take it back.",
        on_change=_grade,
        args=(evaluation, answer, key),
    )
    # Only then: grades that agree are worth something when each was given alone.
    if own and given:
        st.caption(", ".join(f"{actor} says {grade}" for actor, grade in given.items()))


def _is_about(one: wire.GradeRecord, answer: wire.GradedAnswer) -> bool:
    return (one.correction.row_id, one.correction.role) == (answer.id, answer.role)


def _grade(evaluation: wire.Evaluation, answer: wire.GradedAnswer, key: str) -> None:
    body = {"row_id": answer.id, "role": answer.role, "grade": st.session_state[key] or "", "evaluation_run": evaluation.mlflow_run}
    with components.deferred("evaluation_grade"):
        session.client().grade(evaluation.model, evaluation.version, wire.GradeCorrection.model_validate(body))
        reads.forget_reviews(evaluation.model, evaluation.version)


def _go(ids: list[str], place: int) -> None:
    st.query_params["row"] = ids[place]


draw()
