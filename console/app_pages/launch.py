"""Launch: what will this do, take and cost?"""

from __future__ import annotations

import streamlit as st

from console import components, markup, readable, reads, session, tables
from controlplane import wire
from controlplane.core import errors, workflows


def draw() -> None:
    place = st.empty()
    known = {workflow.name: workflow for workflow in reads.workflows()}
    name = components.choose("Workflow", list(known), "launch_workflow", "workflow", show=lambda one: f"{known[one].title}  ({one})")
    workflow = known[name]
    with place:
        components.headline("What will this do, take and cost?", _answer(workflow))
    left, right = st.columns([3, 2], gap="large")
    with left:
        values = _form(workflow)
    with right:
        _beside(workflow, values)
    _press(workflow, values)


def _answer(workflow: wire.Workflow) -> str:
    usual = tables.estimate(workflow)
    takes = f"It usually takes {readable.seconds(usual)} here" if usual else "How long it takes is not known yet: no run has succeeded here"
    return f"{workflow.purpose} {takes}. It ends in: {workflow.ends_in}."


def _form(workflow: wire.Workflow) -> dict[str, str]:
    """A field for each parameter; the values as text, as the API takes them."""
    main = [parameter for parameter in workflow.parameters if not parameter.is_advanced]
    advanced = [parameter for parameter in workflow.parameters if parameter.is_advanced]
    columns = st.columns(2)
    values = {parameter.name: _field(workflow.name, parameter, columns[index % 2]) for index, parameter in enumerate(main)}
    if advanced:
        with st.expander(f"Advanced: {readable.count(len(advanced), 'setting')}", key="launch_advanced", icon=":material/tune:"):
            inner = st.columns(2)
            values |= {parameter.name: _field(workflow.name, parameter, inner[index % 2]) for index, parameter in enumerate(advanced)}
    return values


def _field(workflow: str, parameter: wire.Parameter, place: st.delta_generator.DeltaGenerator) -> str:
    key = f"launch_{workflow}_{parameter.name}"
    label = parameter.name.replace("-", " ").capitalize()
    if parameter.kind == "choice":
        start = parameter.choices.index(parameter.default) if parameter.default in parameter.choices else 0
        return str(place.selectbox(label, parameter.choices, index=start, key=key, help=parameter.help))
    if parameter.kind == "flag":
        return str(place.toggle(label, value=parameter.default == "true", key=key, help=parameter.help)).lower()
    hint = _range(parameter) or ("the step decides" if parameter.default == "" else None)
    return place.text_input(label, value=parameter.default, key=key, help=parameter.help, placeholder=hint).strip()


def _range(parameter: wire.Parameter) -> str:
    if parameter.minimum is None and parameter.maximum is None:
        return ""
    low = "any" if parameter.minimum is None else f"{parameter.minimum:g}"
    return f"{low} to {parameter.maximum:g}" if parameter.maximum is not None else f"at least {low}; empty: the step decides"


def _beside(workflow: wire.Workflow, values: dict[str, str]) -> None:
    with st.container(border=True):
        components.title("Steps")
        rows = [
            (
                str(position),
                f"<strong>{markup.text(step.name)}</strong><br><span class='gw-muted'>{markup.text(step.help)}</span>",
                _usual(workflow, step),
            )
            for position, step in enumerate(workflow.steps, start=1)
        ]
        st.html(markup.table(("", "Step", "Usually"), rows, numeric=(2,)))
        st.caption(_cost(workflow))
        components.title("The same on the command line")
        defaults = {parameter.name: parameter.default for parameter in workflow.parameters}
        st.code(tables.command(workflow.name, values, defaults), language="bash", wrap_lines=True)


def _cost(workflow: wire.Workflow) -> str:
    """What a cluster is asked for at most at once; the local executor runs the steps on this machine."""
    steps = workflows.get(workflow.name).steps
    gpus = max(step.resources.gpus for step in steps)
    memory = max((step.resources.memory_limit for step in steps), key=_mebibytes)
    asks = f"{readable.count(gpus, 'GPU')} and {memory} of memory" if gpus else f"no GPU and {memory} of memory"
    return f"On a cluster the largest step asks for {asks}. The local profile uses this machine and costs nothing more."


def _mebibytes(amount: str) -> float:
    return float(amount[:-2]) * {"Mi": 1, "Gi": 1024}[amount[-2:]]


def _usual(workflow: wire.Workflow, step: wire.StepSpec) -> str:
    return readable.seconds(workflow.typical_seconds.get(step.name))


def _press(workflow: wire.Workflow, values: dict[str, str]) -> None:
    if st.button(f"Launch {workflow.name}", type="primary", key="launch_start", icon=":material/play_arrow:"):
        try:
            with st.spinner(f"Starting {workflow.name} …"):
                run = session.client().launch(workflow.name, values)
        except errors.GatewrightError as error:
            components.fault(error, "launch_retry")
            return
        reads.forget()
        st.session_state["launch_last"] = (workflow.name, run.id)
    last = st.session_state.get("launch_last")
    if last is not None and last[0] == workflow.name:
        with st.container(key="launch_done"):
            st.success(f"Run {last[1]} has started.", icon=":material/check_circle:")
            components.link("runs", "Watch it", ":material/account_tree:", run=last[1])


draw()
