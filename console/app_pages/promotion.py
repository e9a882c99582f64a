"""Promotion: what changes if I press this?"""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from console import components, markup, reads, session, tables
from controlplane import wire
from controlplane.core import errors

_QUESTION = "What changes if I press this?"
_GATES = {"perf-passed": "performance", "eval-passed": "evaluation", "staged": "deployment"}
_SOURCES = ("perf-passed", "eval-passed", "staged")


def draw() -> None:
    place = st.empty()
    left, right = st.columns(2)
    with left:
        model = components.choose_model("promotion")
    if not model:
        with place:
            components.headline(_QUESTION, "Nothing: there is no model yet.", "broken")
        return
    with right:
        source = components.choose("Promote the version that is", _SOURCES, "promotion_source", "source", "perf-passed")
    plan = reads.plan(model, source)
    with place:
        components.headline(_QUESTION, _answer(plan), "live" if _is_allowed(plan) else "unsure")
    with st.container():
        _proof(model)
    _decide(plan)
    _roll_back(model)
    _timeline(model)


def _is_allowed(plan: wire.Plan) -> bool:
    return not plan.refusal and not plan.holder and plan.version is not None


def _answer(plan: wire.Plan) -> str:
    if plan.holder:
        return f"Nothing now: {plan.holder} is promoting {plan.model} at this moment."
    if plan.refusal:
        return f"Nothing: {plan.refusal}"
    passed = sum(item.outcome == "pass" for item in plan.evidence)
    back = (
        f" v{plan.replaces} becomes previous, one press away."
        if plan.replaces
        else " Nothing is live yet, so there is no way back to an earlier one."
    )
    return f"v{plan.version} goes live with {passed} of {tables.count(len(plan.evidence), 'gate')} passed.{back}"


def _button(plan: wire.Plan) -> str:
    """The label of the primary button: exactly what it will do."""
    if plan.version is None:
        return "Nothing to promote"
    return f"Make v{plan.version} live" + (f", v{plan.replaces} previous" if plan.replaces else "")


def _decide(plan: wire.Plan) -> None:
    if plan.evidence or plan.moves:
        _evidence(plan)
    with st.container(border=True, key="promotion_decide"):
        _press(plan)
    if plan.version is None:
        components.link(
            "launch", "Launch the gate that is missing", ":material/play_circle:", workflow=_GATES.get(plan.source_alias, "training")
        )


def _evidence(plan: wire.Plan) -> None:
    left, right = st.columns([1, 1], gap="large")
    with left, st.container(border=True, height="stretch"):
        components.title("Evidence")
        if plan.evidence:
            st.html(markup.checklist(plan.evidence, _links(plan)))
        else:
            components.empty("No evidence.", "No version stands at this place of the track.")
    with right, st.container(border=True, height="stretch"):
        components.title("Aliases and replicas")
        if plan.moves:
            st.html(markup.moves(plan.moves))
            st.html(_replicas(plan))
        else:
            components.empty("Nothing would move.", plan.refusal or "There is no version to promote.")


def _links(plan: wire.Plan) -> dict[str, str]:
    query = urlencode({"model": plan.model, "version": plan.version or ""})
    return {"quality": f"registry?{query}", "evaluation": f"evaluation?{query}", "performance": f"performance?{query}"}


def _replicas(plan: wire.Plan) -> str:
    slot = f"{plan.model}-live"
    rows = [
        (markup.text(address), markup.text(slot), f"v{plan.replaces}" if plan.replaces else "none", "→", f"v{plan.version}")
        for address in plan.replicas
    ]
    return (
        markup.table(("Replica", "Slot", "Answers now", "", "Afterwards"), rows)
        if rows
        else markup.empty("No replica is known.", "Aliases move alone.")
    )


def _press(plan: wire.Plan) -> None:
    reason = st.text_input(
        "Reason (required, kept in the ledger)",
        key="promotion_reason",
        placeholder="why this version should serve users",
        max_chars=500,
        live="400ms",
        disabled=not _is_allowed(plan),
    )
    is_ready = _is_allowed(plan) and bool(reason.strip())
    is_pressed = st.button(
        _button(plan),
        type="primary",
        key="promotion_promote",
        icon=":material/rocket_launch:",
        disabled=not is_ready,
    )
    st.caption(_why_not(plan, reason))
    if is_pressed:
        _apply(plan, reason.strip())


def _why_not(plan: wire.Plan, reason: str) -> str:
    if plan.holder:
        return f"{plan.holder} is promoting now; this frees up when that is done."
    if plan.refusal or plan.version is None:
        return plan.refusal or "No version stands at this place of the track."
    if not reason.strip():
        return "Write a reason first."
    return f"Acts as {session.actor()}, on {tables.count(len(plan.replicas), 'replica')}."


def _apply(plan: wire.Plan, reason: str) -> None:
    """Promote or roll back, showing what goes on; the proof stays on the page afterwards."""
    with st.status(f"{_button(plan)} …", expanded=True) as status:
        for address in plan.replicas:
            st.write(f"Switching {plan.model}-live on {address} and asking it what it serves …")
        st.write("Moving the aliases …")
        client = session.client()
        try:
            done = client.rollback(plan.model, reason) if plan.is_rollback else client.promote(plan.model, plan.source_alias, reason)
        except errors.GatewrightError as error:
            status.update(label="It did not happen.", state="error")
            st.html(markup.fault(error.title, error.detail, error.hint, getattr(error, "request_id", "")))
            return
        status.update(label="Done.", state="complete")
    reads.forget()
    st.session_state["promotion_done"] = done
    st.session_state.pop("promotion_reason", None)
    st.rerun()


def _proof(model: str) -> None:
    done: wire.Promotion | None = st.session_state.get("promotion_done")
    if done is None or done.model != model:
        return
    with st.container(border=True, key="promotion_proof"):
        verb = "Rolled back" if done.is_rollback else "Promoted"
        is_well = done.state == "done"
        words = f"{verb}: v{done.version} is live." if is_well else f"Not finished: {done.state}. {done.error}"
        st.html(markup.headline("What happened", words, "good" if is_well else "bad"))
        rows = [
            (markup.text(address), markup.text(root), markup.badge("✓", "asked and verified", "good"))
            for address, root in done.proof.items()
        ]
        if rows:
            st.html(markup.table(("Replica", "Its live slot answers from", ""), rows))
        taken = tables.seconds((done.ended_at - done.started_at).total_seconds()) if done.ended_at else "unknown time"
        st.html(
            f"<span class='gw-muted'>{markup.when(done.started_at, session.now())} by {markup.text(done.actor)}, in {taken} · "
            f"digest {markup.identifier(done.digest, 12)} · “{markup.text(done.reason)}”</span>"
        )


def _roll_back(model: str) -> None:
    plan = reads.plan(model, "previous")
    label = "Roll back …" if plan.version is None else f"Roll back to v{plan.version} …"
    with st.container(horizontal=True, vertical_alignment="center", key="promotion_back"):
        blocked = plan.refusal or (f"{plan.holder} is promoting now." if plan.holder else "")
        with st.popover(label, icon=":material/undo:", disabled=bool(blocked), key="promotion_rollback"):
            words = f"**v{plan.version} goes live again and v{plan.replaces} becomes previous.**"
            st.markdown(f"{words} No gate is asked; the same press brings it back.")
            reason = st.text_input("Reason (required)", key="promotion_rollback_reason", max_chars=500, live="400ms")
            if st.button(
                f"Make v{plan.version} live again",
                key="promotion_rollback_confirm",
                icon=":material/undo:",
                disabled=not reason.strip(),
            ):
                _apply(plan, reason.strip())
        st.caption(blocked or "The way back: brings the previous version live again.")


def _timeline(model: str) -> None:
    components.title("All promotions")
    promotions = reads.promotions(model, 100)
    if not promotions:
        components.empty("Nothing was ever promoted.", "The first promotion starts the timeline.")
        return
    rows = [
        (
            markup.when(one.started_at, session.now()),
            markup.badge("↺", "rollback", "broken") if one.is_rollback else markup.badge("▲", "promotion", "live"),
            f"<span class='gw-who'>{f'v{one.replaces}' if one.replaces else 'none'} → <strong>v{one.version}</strong></span>",
            markup.state(one.state),
            markup.who(one.actor, one.interface),
            markup.text(one.reason or one.error),
            markup.identifier(one.digest, 12),
        )
        for one in promotions[:25]
    ]
    st.html(markup.table(("When", "What", "Live", "State", "Who", "Why", "Digest"), rows))
    st.download_button(
        "Export all as CSV",
        tables.promotions_csv(promotions),
        f"{model}-promotions.csv",
        "text/csv",
        key="promotion_export",
        icon=":material/download:",
        on_click="ignore",
    )


draw()
