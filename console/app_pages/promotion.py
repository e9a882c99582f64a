"""Promotion: what changes if I press this?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent import futures
from urllib.parse import urlencode

import streamlit as st

from console import components, markup, readable, reads, session, tables
from controlplane import client as api
from controlplane import wire
from controlplane.core import errors

_QUESTION = "What changes if I press this?"
_GATES = {"perf-passed": "performance", "eval-passed": "evaluation", "staged": "deployment"}
_SOURCES = ("perf-passed", "eval-passed", "staged")
_WATCH_SECONDS = 0.4
_REPLICA_BADGES = {
    "waiting": ("○", "waiting", "broken"),
    "swapping": ("◐", "swapping", "accent"),
    "verified": ("✓", "verified", "good"),
    "failed": ("✕", "failed", "bad"),
    "put back": ("↺", "put back", "unsure"),
}


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
        _drift(plan)
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
    gates = [item for item in plan.evidence if item.gate != "people"]
    passed = sum(item.outcome == "pass" for item in gates)
    back = (
        f" v{plan.replaces} becomes previous, one press away."
        if plan.replaces
        else " Nothing is live yet, so there is no way back to an earlier one."
    )
    return f"v{plan.version} goes live with {passed} of {readable.count(len(gates), 'gate')} passed.{back}"


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
    return {
        "quality": f"registry?{query}",
        "evaluation": f"evaluation?{query}",
        "performance": f"performance?{query}",
        "people": f"review?{query}",
    }


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
    if plan.override:
        _override(plan)


def _override(plan: wire.Plan) -> None:
    """Past the policy, on purpose: apart from the ordinary press, and never without a reason."""
    with st.popover("Override the policy …", icon=":material/gpp_maybe:", key="promotion_override"):
        st.markdown(f"**{plan.override}** The gates that are missing stay missing; the ledger will show this in bold under your name.")
        reason = st.text_input("Reason (required)", key="promotion_override_reason", max_chars=500, live="400ms")
        label = f"Make v{plan.version} live against the policy"
        if st.button(label, key="promotion_override_confirm", icon=":material/gpp_maybe:", disabled=not reason.strip()):
            _apply(plan, reason.strip(), override=True)


def _drift(plan: wire.Plan) -> None:
    """An alias that somebody moved in MLflow itself: the servers have not followed, and a person must say who is right."""
    if not plan.drift:
        return
    with st.container(border=True, key="promotion_drift"):
        moved = "; ".join(f"{one.alias} was {_shown(one.decided)} and is now {_shown(one.found)}" for one in plan.drift)
        st.html(markup.headline("Moved outside Gatewright", f"{moved}. The servers still answer as decided last.", "bad"))
        reason = st.text_input("Reason (required, kept in the ledger)", key="promotion_drift_reason", max_chars=500, live="400ms")
        with st.container(horizontal=True):
            if st.button("Revert: put the aliases back", key="promotion_revert", icon=":material/undo:", disabled=not reason.strip()):
                _settle(plan.model, "revert", reason.strip())
            if st.button("Adopt: serve what MLflow says", key="promotion_adopt", icon=":material/done_all:", disabled=not reason.strip()):
                _settle(plan.model, "adopt", reason.strip())


def _settle(model: str, action: str, reason: str) -> None:
    client = session.client()
    try:
        client.adopt(model, reason) if action == "adopt" else client.revert(model, reason)
    except errors.GatewrightError as error:
        components.fault(error, "promotion_drift_retry")
        return
    reads.forget()
    st.session_state.pop("promotion_drift_reason", None)
    st.rerun()


def _shown(version: int | None) -> str:
    return "not set" if version is None else f"v{version}"


def _why_not(plan: wire.Plan, reason: str) -> str:
    if plan.holder:
        return f"{plan.holder} is promoting now; this frees up when that is done."
    if plan.refusal or plan.version is None:
        return plan.refusal or "No version stands at this place of the track."
    if not reason.strip():
        return "Write a reason first."
    return f"Acts as {session.actor()}, on {readable.count(len(plan.replicas), 'replica')}."


def _apply(plan: wire.Plan, reason: str, *, override: bool = False) -> None:
    """Promote or roll back, showing each replica while it goes on; the proof stays on the page afterwards."""
    label = f"Make v{plan.version} live against the policy" if override else _button(plan)
    with st.status(f"{label} …", expanded=True) as status:
        client = session.client()

        def act() -> wire.Promotion:
            seen = plan.replaces or 0
            if plan.is_rollback:
                return client.rollback(plan.model, reason, expected_live=seen)
            return client.promote(plan.model, plan.source_alias, reason, override=override, expected_live=seen)

        try:
            done = _watched(client, plan, act)
        except errors.GatewrightError as error:
            status.update(label="It did not happen.", state="error")
            st.html(markup.fault(error.title, error.detail, error.hint, getattr(error, "request_id", "")))
            return
        status.update(label="Done.", state="complete")
    reads.forget()
    st.session_state["promotion_done"] = done
    st.session_state.pop("promotion_reason", None)
    st.rerun()


def _watched(client: api.Client, plan: wire.Plan, act: Callable[[], wire.Promotion]) -> wire.Promotion:
    """Carries it out beside the page, which draws how far each replica is."""
    place = st.empty()
    with futures.ThreadPoolExecutor(max_workers=1) as pool:
        doing = pool.submit(act)
        while True:
            try:
                return doing.result(timeout=_WATCH_SECONDS)
            except TimeoutError:
                running = [one for one in client.promotions(plan.model, limit=1) if one.state == "running"]
                place.html(_replica_table(running[0].replicas) if running else "Checking the files …")


def _replica_table(replicas: Sequence[wire.ReplicaProof]) -> str:
    rows = [
        (
            markup.text(one.address),
            markup.badge(*_REPLICA_BADGES.get(one.state, ("·", one.state, "broken"))),
            markup.identifier(one.root.rpartition("/")[2], 24) if one.root else readable.NOTHING,
            markup.text(one.fingerprint or readable.NOTHING),
            readable.seconds(one.seconds) if one.seconds is not None else readable.NOTHING,
            markup.text(one.note),
        )
        for one in replicas
    ]
    return markup.table(("Replica", "State", "Live slot answers from", "Fingerprint", "Took", "Note"), rows, numeric=(4,))


def _proof(model: str) -> None:
    done: wire.Promotion | None = st.session_state.get("promotion_done")
    if done is None or done.model != model:
        return
    with st.container(border=True, key="promotion_proof"):
        verb = "Rolled back" if done.is_rollback else "Promoted"
        is_well = done.state == "done"
        words = f"{verb}: v{done.version} is live." if is_well else f"{verb}, but {done.state}: v{done.version}. {done.error}"
        st.html(markup.headline("What happened", words, "good" if is_well else "bad"))
        if done.replicas:
            st.html(_replica_table(done.replicas))
        taken = readable.seconds((done.ended_at - done.started_at).total_seconds()) if done.ended_at else "unknown time"
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
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = components.choose("Kind", ("all", "promotion", "rollback", "override"), "promotion_kind", "kind", "all")
        actor = components.choose("Who", ("all", *sorted({one.actor for one in promotions})), "promotion_actor", "who", "all")
    promotions = [one for one in promotions if _is_kind(one, kind) and actor in ("all", one.actor)]
    if not promotions:
        components.empty("None of this kind.", "Choose all to see every promotion.")
        return
    rows = [
        (
            markup.when(one.started_at, session.now()),
            markup.badge("↺", "rollback", "broken") if one.is_rollback else markup.badge("▲", "promotion", "live"),
            f"<span class='gw-who'>{f'v{one.replaces}' if one.replaces else 'none'} → <strong>v{one.version}</strong></span>",
            markup.state(one.state),
            markup.who(one.actor, one.interface),
            (f"<strong>{markup.text(one.override)}</strong> " if one.override else "") + markup.text(one.reason or one.error),
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


def _is_kind(promotion: wire.Promotion, kind: str) -> bool:
    return {"promotion": not promotion.is_rollback, "rollback": promotion.is_rollback, "override": bool(promotion.override)}.get(kind, True)


draw()
