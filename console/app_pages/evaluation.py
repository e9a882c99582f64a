"""Evaluation: is it better, and how sure are we? Gate 1 of one version."""

from __future__ import annotations

from typing import Any

import pandas
import streamlit as st

from console import charts, components, markup, readable, reads, session, surety, tables
from controlplane import wire
from controlplane.core import errors

_QUESTION = "Is it better, and how sure are we?"
_GRADES = {"A": "A right", "B": "B partly", "C": "C wrong"}
_FILTERS = {"all": "", "only different": "is_different", "regressions": "is_regression", "judge disagreed with itself": "is_torn"}


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
    _look(evaluation)
    _sure(evaluation)
    _readings(evaluation)
    _records(evaluation)
    _rows(evaluation)


def _not_run(place: st.delta_generator.DeltaGenerator, model: str, number: int) -> None:
    with place:
        components.headline(_QUESTION, f"Nobody knows yet: Gate 1 was never run for {model} v{number}.", "broken")
    components.empty("No evaluation of this version.", "Stage the version (deployment), then launch the evaluation workflow.")
    components.link("launch", "Launch the evaluation", ":material/play_circle:", workflow="evaluation")


def _answer(evaluation: wire.Evaluation) -> str:
    name = f"{evaluation.model} v{evaluation.version}"
    words = {
        "pass": "is good enough",
        "fail": "is not good enough",
        "inconclusive": "cannot be judged yet",
        "error": "was not judged: the tool broke",
    }
    return f"{name} {words[evaluation.verdict.outcome]}: {_why(evaluation)} {_basis(evaluation)}"


def _why(evaluation: wire.Evaluation) -> str:
    """How the checks went; what stands against them where they are not the reason."""
    verdict, trust = evaluation.verdict, evaluation.trust
    is_doubted = trust is not None and bool(trust.refusal) and verdict.outcome == "inconclusive"
    if is_doubted or (verdict.outcome != "pass" and all(check.outcome == "pass" for check in verdict.checks)):
        return readable.sentence(verdict.reason)
    return tables.tally(verdict)


def _basis(evaluation: wire.Evaluation) -> str:
    asked, judged = evaluation.asked, evaluation.judged
    early = f", {judged} of them judged before the verdict stood" if judged < asked else ""
    reading = {"pairwise": "by pairs"}.get(evaluation.reading, "by grades")
    how_sure = "with confidence intervals" if evaluation.verdict.rules == "interval" else "on point values, without intervals"
    return f"Measured on {readable.count(asked, 'question')}{early}, decided {reading} {how_sure}."


def _look(evaluation: wire.Evaluation) -> None:
    """Verdict and differences, side by side."""
    colours = components.colours()
    left, right = st.columns([6, 5], gap="medium")
    with left:
        _card(evaluation)
    with right:
        if evaluation.differences:
            components.title("Candidate against live, row by row")
            st.plotly_chart(charts.differences(evaluation.differences, colours), key="evaluation_differences", theme=None)
        else:
            components.title("Values against their limits")
            st.plotly_chart(charts.checks(evaluation.verdict, colours), key="evaluation_checks", theme=None)


def _card(evaluation: wire.Evaluation) -> None:
    verdict, trust = evaluation.verdict, evaluation.trust
    elsewhere = trust.warnings if trust else ()
    shown = verdict.model_copy(update={"notes": tuple(note for note in verdict.notes if note not in elsewhere)})
    if _is_open(verdict):
        shown = shown.model_copy(update={"reason": "What is open, and what would close it, stands below."})
    data = _data(evaluation)
    footer = [
        f"judge: <strong>{markup.text(evaluation.judge)}</strong>",
        *([f"data: {markup.text(data)}"] if data else []),
        f"MLflow run {markup.identifier(evaluation.mlflow_run)}",
        markup.when(evaluation.at, session.now()),
    ]
    title = f"Gate 1, evaluation · {evaluation.model} v{evaluation.version}"
    st.html(markup.verdict(shown, title, footer, is_compact=True))


def _is_open(verdict: wire.Verdict) -> bool:
    return verdict.outcome == "inconclusive" and bool(verdict.checks)


def _data(evaluation: wire.Evaluation) -> str:
    if evaluation.dataset is not None:
        return evaluation.dataset.name
    version = evaluation.parameters.get("data-version", evaluation.parameters.get("data_version", ""))
    return " ".join(part for part in (evaluation.parameters.get("dataset", ""), f"v{version}" if version else "") if part)


def _sure(evaluation: wire.Evaluation) -> None:
    """What would decide, judge trust, and what other rules say, in blocks side by side."""
    blocks = [surety.what_it_takes(evaluation)] if _is_open(evaluation.verdict) else []
    blocks.append(surety.judge_trust(evaluation))
    blocks += [surety.by_rules(evaluation)] if evaluation.others else []
    st.html(surety.beside(blocks))
    with st.container(horizontal=True):
        judge = evaluation.trust.judge if evaluation.trust else evaluation.judge
        components.link("judge", "How the judge was measured", ":material/balance:", judge=judge)
        components.link("review", "Review the answers blind", ":material/how_to_vote:", model=evaluation.model, version=evaluation.version)


def _readings(evaluation: wire.Evaluation) -> None:
    """Both readings of the same answers."""
    colours = components.colours()
    left, right = st.columns(2, gap="large")
    with left:
        components.title("Each answer graded")
        st.plotly_chart(charts.grades(tables.grade_counts(evaluation.rows), colours), key="evaluation_grades", theme=None)
    with right:
        components.title("Which of two is better")
        if evaluation.pairwise is None:
            components.empty("The answers were not compared.", "An evaluation compares them when a version is live.")
        else:
            st.plotly_chart(charts.preferences(evaluation.pairwise, colours), key="evaluation_preferences", theme=None)
            st.caption(surety.pairwise_line(evaluation.pairwise))


def _records(evaluation: wire.Evaluation) -> None:
    """What this verdict stands on, to look it up or run it again."""
    with st.expander("Records: data, judge and rules", icon=":material/fact_check:"):
        st.html(markup.facts(surety.records(evaluation), is_wide=True))


def _rows(evaluation: wire.Evaluation) -> None:
    components.title("Answers, row by row")
    pairs = tables.paired(evaluation.rows, evaluation.comparisons)
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        counts = {name: sum(_has(pair, flag) for pair in pairs) for name, flag in _FILTERS.items()}
        session.chosen(list(_FILTERS), "evaluation_filter", "show")
        wanted = st.segmented_control(
            "Show",
            list(_FILTERS),
            key="evaluation_filter",
            format_func=lambda name: f"{name} ({counts[name]})",
            required=True,
            on_change=session.remember,
            args=("evaluation_filter", "show"),
        )
    search = right.text_input("Search", key="evaluation_search", placeholder="words in question or answer", icon=":material/search:")
    shown = [pair for pair in pairs if _has(pair, _FILTERS[wanted or "all"]) and _says(pair, search.lower())]
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


def _has(pair: dict[str, Any], flag: str) -> bool:
    """An empty flag is everybody's."""
    return not flag or bool(pair[flag])


def _says(pair: dict[str, Any], search: str) -> bool:
    said = " ".join(pair[side].answer for side in ("candidate", "live") if pair[side])
    return search in f"{pair['question']} {said}".lower()


def _cells(pair: dict[str, Any]) -> dict[str, object]:
    candidate, live = pair["candidate"], pair["live"]
    return {
        "Row": pair["id"],
        "Question": pair["question"],
        "Candidate": candidate.answer if candidate else readable.NOTHING,
        "Candidate's grade": tables.graded(candidate),
        "Live": live.answer if live else readable.NOTHING,
        "Live's grade": tables.graded(live),
        "Better": tables.preferred(pair["compared"]),
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
    if pair["compared"] is not None:
        st.html(f"<div class='gw-card'>{surety.orders(pair['compared'])}</div>")
    sides = [(side, pair[side]) for side in ("candidate", "live") if pair[side] is not None]
    for column, (side, answer) in zip(st.columns(2), sides, strict=False):
        other = next((one.answer for name, one in sides if name != side), answer.answer)
        column.html(markup.side(side, markup.role(side), markup.differing(answer.answer, other, side), _finding(answer)))
        with column:
            _right_grade(evaluation, answer)


def _finding(answer: wire.GradedAnswer) -> str:
    """The judge's grade and reason; each judge's letter when there were several."""
    grade = markup.grade(answer.grade, "unscored" if answer.is_judged else "not judged")
    votes = f" · judges said {markup.text(' '.join(answer.votes))}" if answer.votes else ""
    return f"{grade} {markup.text(answer.reason)}{votes} · {readable.seconds(answer.latency_seconds)}"


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
