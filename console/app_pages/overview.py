"""Overview: what is live, and is anything waiting for me?"""

from __future__ import annotations

import streamlit as st

from console import components, markup, readable, reads, session, tables
from controlplane import wire


@components.live("overview", 5)
def draw() -> None:
    overview = reads.overview()
    components.headline("What is live, and is anything waiting for me?", overview.headline, _tone(overview))
    for problem in overview.problems:
        st.warning(problem, icon=":material/warning:")
    for address, slot in _drifting(overview):
        st.warning(
            f"{slot.name} on `{address}` does not serve the version that the registry names; reconciliation is at work.",
            icon=":material/sync_problem:",
        )
    if not overview.models:
        components.empty("No model is registered yet.", "Start with a training run: it ends in the first candidate.")
        components.link("launch", "Launch a training run", workflow="training")
    for model in overview.models:
        _model(model)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _activity(overview)
    with right:
        _runs(overview.active_runs)
        _replicas(overview.replicas)


def _tone(overview: wire.Overview) -> str:
    return "unsure" if overview.problems or _drifting(overview) else "live"


def _drifting(overview: wire.Overview) -> list[tuple[str, wire.SlotState]]:
    return [(replica.address, slot) for replica in overview.replicas for slot in replica.slots if slot.state == "drift"]


def _model(model: wire.OverviewModel) -> None:
    with st.container(border=True, key=f"overview_model_{model.name}"):
        components.title(model.name)
        st.markdown(f"{model.headline}  \n**Next:** {model.next_step}" if model.next_step else model.headline)
        sides = [version for version in (model.candidate, model.live) if version is not None]
        for column, version in zip(st.columns(2, gap="large"), sides, strict=False):
            with column:
                _side(version)
        with st.container(horizontal=True):
            components.link("promotion", "Evidence and promotion", ":material/rocket_launch:", model=model.name)
            components.link("registry", "All versions", ":material/inventory_2:", model=model.name)
            components.link("compare", "Compare answers", ":material/compare_arrows:", model=model.name)


def _side(version: wire.Version) -> None:
    side = "live" if "live" in version.aliases else "candidate"
    created = markup.when(version.created_at, session.now())
    metrics = [(tables.metric_title(name), tables.metric_text(version.metrics, name)) for name in tables.METRICS[:5]]
    st.html(f"{markup.role(side, version.number)} {markup.identifier(version.digest, 12)} <span class='gw-muted'>made {created}</span>")
    st.html(markup.track(version))
    st.html(markup.facts([pair for pair in metrics if pair[1] != readable.NOTHING]))


def _activity(overview: wire.Overview) -> None:
    components.title("Recent activity")
    if not overview.events:
        components.empty("Nothing has happened yet.", "Launches, gates and promotions appear here with who did them.")
        return
    heads = ("When", "What", "Version", "Who", "Why")
    rows = [
        (
            markup.when(event.at, session.now()),
            markup.text(event.action),
            f"{markup.text(event.model)} v{event.version}" if event.version else markup.text(event.model),
            markup.who(event.actor, event.interface),
            markup.text(event.reason),
        )
        for event in overview.events[:10]
    ]
    shown = len(heads) if any(event.reason for event in overview.events[:10]) else len(heads) - 1
    st.html(markup.table(heads[:shown], [row[:shown] for row in rows]))


def _runs(runs: tuple[wire.Run, ...]) -> None:
    components.title("Running now")
    if not runs:
        components.empty("Nothing is running.", "Launch starts a workflow; it shows here while it runs.")
    for run in runs:
        st.html(markup.progress(tables.fraction(run), f"{run.title} · started {readable.ago(run.created_at, session.now())}"))
        components.link("runs", f"Watch {readable.short(run.id)}", run=run.id)


def _replicas(replicas: tuple[wire.Replica, ...]) -> None:
    components.title("Replicas")
    if not replicas:
        components.empty("No replica is known.", "Set GATEWRIGHT_VLLM_URLS to the vLLM servers, or start the local stack.")
        return
    rows = [
        (
            f"<code>{markup.text(replica.address)}</code>",
            markup.badge("✓", "healthy", "good") if replica.is_healthy else markup.badge("✕", "down", "bad"),
            _slots(replica) or markup.text(replica.detail),
        )
        for replica in replicas
    ]
    st.html(markup.table(("Server", "Health", "Slots"), rows))


def _slots(replica: wire.Replica) -> str:
    """How many slots answer with the wanted version, and by name those that do not."""
    agreeing = sum(slot.state == "agrees" for slot in replica.slots)
    drifting = [markup.badge("✕", f"{slot.name} drifts", "bad") for slot in replica.slots if slot.state == "drift"]
    agreed = [markup.badge("✓", f"{agreeing} in agreement", "good")] if agreeing else []
    return "".join([*agreed, *drifting])


draw()
