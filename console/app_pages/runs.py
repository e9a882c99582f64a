"""Runs: what is running, how far, and what does it say?"""

from __future__ import annotations

import math

import streamlit as st

from console import components, markup, readable, reads, session, tables
from controlplane import wire
from controlplane.core import errors

_LIMIT = 50
_SHOWN_LINES = 400
_FINAL = ("succeeded", "stopped", "failed", "cancelled")


def draw() -> None:
    wanted = session.parameter("run")
    _list(bool(wanted))
    if wanted:
        _run(wanted)


def _list(is_one_open: bool) -> None:
    place = st.empty()
    left, middle, _ = st.columns([2, 3, 2])
    with left:
        names = ["all", *(workflow.name for workflow in reads.workflows())]
        workflow = components.choose("Workflow", names, "runs_workflow", "workflow", "all")
    runs = reads.runs("" if workflow == "all" else workflow, False, _LIMIT)
    with place:
        _headline(runs)
    if not runs:
        components.empty("No run yet.", "Launch a workflow; it appears here at once and its log can be followed.")
        components.link("launch", "Launch a workflow")
        return
    with middle:
        ids = [run.id for run in runs]
        titles = {
            run.id: f"{run.workflow} · {run.state} · {readable.ago(run.created_at, session.now())} · {readable.short(run.id)}"
            for run in runs
        }
        here = session.parameter("run")
        options = ids if here in ids or not here else [here, *ids]
        components.choose("Open run", ["", *options], "runs_run", "run", "", lambda one: titles.get(one, one) if one else "choose one")
    if is_one_open:
        return
    rows = [
        (
            markup.state(run.state),
            f'<a href="runs?run={markup.text(run.id)}" target="_self">{markup.text(run.title)}</a>',
            markup.identifier(run.id),
            markup.when(run.created_at, session.now()),
            readable.seconds(tables.duration(run, session.now())),
            markup.who(run.created_by, run.interface),
            markup.text(run.reason),
        )
        for run in runs
    ]
    st.html(markup.table(("State", "Workflow", "Run", "Started", "Took", "By", "Why it ended so"), rows, numeric=(4,)))


def _headline(runs: list[wire.Run]) -> None:
    active = [run for run in runs if run.state not in _FINAL]
    answer = "Nothing is running."
    if active:
        doing = ", ".join(f"{run.workflow} ({100 * tables.fraction(run):.0f} %)" for run in active[:3])
        answer = f"{readable.count(len(active), 'run')} under way: {doing}."
    elif runs:
        answer = f"Nothing is running. The last, {runs[0].workflow}, {runs[0].state} {readable.ago(runs[0].created_at, session.now())}."
    components.headline("What is running, how far, and what does it say?", answer, "accent" if active else "broken")


def _run(run_id: str) -> None:
    run = reads.run(run_id)
    is_over = run.state in _FINAL
    with st.container(border=True, key="runs_detail"):
        st.html(f"<strong>{markup.text(run.title)}</strong> {markup.identifier(run.id, 16)}")
        if is_over:
            _state(run_id)
        else:
            components.live("runs_state", 2)(lambda: _state(run_id))()
        _actions(run)
    log, outputs, parameters = st.tabs(["Log", "Outputs", "Parameters"])
    with log:
        _log(run_id, is_over)
    with outputs:
        _outputs(run)
    with parameters:
        rows = [(markup.text(name), markup.text(value or readable.NOTHING)) for name, value in run.parameters.items()]
        st.code(run.command, language="bash", wrap_lines=True)
        st.html(markup.table(("Parameter", "Value"), rows))


def _state(run_id: str) -> None:
    """State, progress and step graph; redraws the whole page once when the run ends."""
    run = reads.run(run_id)
    taken = readable.seconds(tables.duration(run, session.now()))
    asked = markup.badge("⊘", "cancel asked", "unsure") if run.is_cancel_asked and run.state not in _FINAL else ""
    who = f"by {markup.text(run.created_by)} ({markup.text(run.interface)})" if run.created_by else ""
    started = markup.when(run.created_at, session.now())
    st.html(f"{markup.state(run.state)}{asked} <span class='gw-muted'>started {started} {who} · {taken}</span>")
    if run.state not in _FINAL:
        progress = reads.progress(run_id)
        label = " · ".join(part for part in (progress.step, progress.message) if part)
        st.html(markup.progress(progress.fraction, label, progress.seconds_left))
        st.session_state["runs_watched"] = run_id
    elif st.session_state.pop("runs_watched", "") == run_id:
        reads.forget()
        st.rerun()
    st.html(markup.steps(run, session.now()))
    for step in run.steps:
        if step.retry_at is not None:
            left = math.ceil((step.retry_at - session.now()).total_seconds())
            when = f"in {left} s" if left > 0 else "now"
            st.html(f"<p class='gw-why'><strong>{markup.text(step.name)} is tried again {when}.</strong></p>")
    if run.reason:
        st.html(f"<p class='gw-why'><strong>Why it ended so.</strong> {markup.text(run.reason)}</p>")


def _actions(run: wire.Run) -> None:
    is_over = run.state in _FINAL
    can_retry = is_over and run.state != "succeeded"
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Cancel", key="runs_cancel", icon=":material/cancel:", disabled=is_over or run.is_cancel_asked):
            _act("cancel", run.id)
        if st.button("Retry", key="runs_retry", icon=":material/replay:", disabled=not can_retry):
            _act("retry", run.id)
        components.link("launch", "Launch again", ":material/play_circle:", workflow=run.workflow)
        if not is_over:
            st.caption("Cancel asks every running step to stop; each gets 10 seconds.")
        elif can_retry:
            st.caption("Retry keeps what the run has finished.")


def _act(verb: str, run_id: str) -> None:
    client = session.client()
    try:
        run = client.cancel(run_id) if verb == "cancel" else client.retry(run_id)
    except errors.GatewrightError as error:
        components.fault(error, "runs_action_retry")
        return
    reads.forget()
    st.query_params["run"] = run.id
    st.rerun()


def _log(run_id: str, is_over: bool) -> None:
    left, middle, right = st.columns([1, 2, 1], vertical_alignment="bottom")
    least = left.selectbox("Level", ("DEBUG", "INFO", "WARNING", "ERROR"), index=1, key="runs_level", help="Lines of this level and above.")
    search = middle.text_input("Search", key="runs_search", placeholder="text in the message", icon=":material/search:")
    is_following = right.toggle("Follow", value=True, key="runs_follow", disabled=is_over, help="Keep the newest line in view.")
    if is_over or not is_following:
        _lines(run_id, least, search)
    else:
        components.live("runs_log", 2)(lambda: _lines(run_id, least, search))()


def _lines(run_id: str, least: str, search: str) -> None:
    lines = reads.logs(run_id)
    matching = [line for line in lines if tables.level_at_least(line.level, least) and search.lower() in line.message.lower()]
    if not lines:
        components.empty("Nothing was said yet.", "The first step writes here as soon as it starts.")
        return
    if not matching:
        components.empty("No line matches.", "Lower the level or clear the search.")
        return
    with st.container(height=430, autoscroll=True, key="runs_log_box"):
        st.html(markup.log(matching[-_SHOWN_LINES:]))
    hidden = len(matching) - _SHOWN_LINES
    older = f", the oldest {hidden:,} left out" if hidden > 0 else ""
    st.caption(f"{len(matching):,} of {readable.count(len(lines), 'line')}{older}")


def _outputs(run: wire.Run) -> None:
    rows = [
        (markup.text(step.name), markup.text(name), markup.identifier(value, 40) if value else readable.NOTHING)
        for step in run.steps
        for name, value in step.outputs.items()
    ]
    if rows:
        st.html(markup.table(("Step", "Output", "Value"), rows))
    else:
        components.empty("No step has written an output yet.", "Outputs appear when a step succeeds.")


draw()
