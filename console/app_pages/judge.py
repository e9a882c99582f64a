"""Judge: can the judge be trusted? Its agreement with grades that are known to be right."""

from __future__ import annotations

import streamlit as st

from console import charts, components, markup, readable, reads, session
from controlplane import wire

_QUESTION = "Can the judge be trusted?"
_COMMAND = "gatewright judge calibrate"
_HEADS = ("Row and kind", "Question and context", "Right answer", "Answer under test", "Trusted", "Judge", "The judge's reason")


def draw() -> None:
    found = reads.calibrations()
    if not found:
        components.headline(_QUESTION, "Nobody knows yet: no judge was looked at on its own.", "broken")
        components.empty(
            "No judge was held against the trusted grades, answer by answer.",
            "Each evaluation, once one was run, says how far its judge can be trusted. The command below shows what it mistakes, in seconds"
            " with the reference judge, in minutes with a model.",
        )
        st.code(_COMMAND, language="bash")
        return
    place = st.empty()
    chosen = components.choose("Judge", [one.judge for one in found], "judge_judge", "judge")
    calibration = next(one for one in found if one.judge == chosen)
    with place:
        components.headline(_QUESTION, answer(calibration), _tone(calibration))
    if calibration.warnings and not calibration.refusal:
        st.warning("  \n".join(calibration.warnings), icon=":material/warning:")
    _facts(calibration)
    _charts(found, calibration)
    _disagreements(calibration)


def answer(calibration: wire.Calibration) -> str:
    """The page's question, answered in words."""
    if calibration.refusal:
        return f"No: {calibration.refusal}"
    agreed = f"{round(calibration.agreement * calibration.rows)} of {readable.count(calibration.rows, 'trusted grade')}"
    yes = f"Yes, with {readable.count(len(calibration.warnings), 'warning')}" if calibration.warnings else "Yes"
    return f"{yes}: the {calibration.judge} agrees with {agreed}, {_kappa(calibration)}; at least {calibration.min_kappa:.2f} is required."


def _tone(calibration: wire.Calibration) -> str:
    return "bad" if calibration.refusal else "unsure" if calibration.warnings else "good"


def _kappa(calibration: wire.Calibration) -> str:
    interval = calibration.interval
    if calibration.kappa is None or interval is None:
        return "kappa undefined"
    return f"kappa {calibration.kappa:.2f} ({interval.level:.0%} interval {interval.low:.2f} to {interval.high:.2f})"


def _facts(calibration: wire.Calibration) -> None:
    pairs = [
        ("Agreement", readable.number(calibration.agreement, "%")),
        ("Replies without a grade", f"{calibration.unscored:,} of {calibration.rows:,}"),
        ("Measured", markup.when(calibration.at, session.now())),
        ("MLflow run", markup.identifier(calibration.mlflow_run)),
        ("Golden set", markup.identifier(calibration.golden_digest, 12)),
        ("Judge's wording", markup.identifier(calibration.prompt_digest, 12)),
    ]
    st.html(markup.facts(pairs))


def _charts(found: list[wire.Calibration], calibration: wire.Calibration) -> None:
    colours = components.colours()
    components.title("Agreement beyond chance")
    st.plotly_chart(charts.kappas(found, colours), key="judge_kappas", theme=None)
    left, right = st.columns(2, gap="large")
    with left:
        components.title("Which grades it confuses")
        st.plotly_chart(charts.confusion(calibration, colours), key="judge_confusion", theme=None)
    with right:
        components.title("By kind of answer")
        st.plotly_chart(charts.kinds(calibration, colours), key="judge_kinds", theme=None)


def _disagreements(calibration: wire.Calibration) -> None:
    components.title("Where it disagrees")
    if not calibration.disagreements:
        components.empty("Nowhere.", "It gave every answer its trusted grade.")
        return
    st.html(markup.table(_HEADS, [_cells(one) for one in calibration.disagreements]))
    st.caption(f"{readable.count(len(calibration.disagreements), 'row')} of {calibration.rows:,}.")


def _cells(one: wire.Disagreement) -> tuple[str, ...]:
    return (
        f"{markup.identifier(one.id, 24)}<br><span class='gw-muted'>{markup.text(one.kind)}, {markup.text(one.source)}</span>",
        f"{markup.text(one.question)}<br><span class='gw-muted'>{markup.text(one.context or '(none)')}</span>",
        markup.text(one.reference),
        markup.text(one.answer),
        markup.grade(one.grade),
        markup.grade(one.given),
        markup.text(one.reason),
    )


draw()
