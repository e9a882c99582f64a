"""Registry: what versions are there and where do they stand?"""

from __future__ import annotations

import pandas
import streamlit as st

from console import charts, components, markup, readable, reads, session, tables
from controlplane import wire


def draw() -> None:
    place = st.empty()
    name = components.choose_model("registry")
    if not name:
        return
    versions = _shown(reads.versions(name))
    with place:
        _headline(name, versions)
    if not versions:
        components.empty("This model has no version yet.", "A training run that passes the quality gate registers one.")
        return
    _trends(versions)
    _table(versions)
    _chosen(name, versions)


def _shown(versions: list[wire.Version]) -> list[wire.Version]:
    """Archived versions are left out unless somebody asks for them, or one is open."""
    count = sum(version.is_archived for version in versions)
    label = f"Show {readable.count(count, 'archived version')}"
    if not count or st.toggle(label, key="registry_archived", value=_open_one_is_archived(versions)):
        return versions
    return [version for version in versions if not version.is_archived]


def _open_one_is_archived(versions: list[wire.Version]) -> bool:
    return any(version.is_archived and str(version.number) == st.query_params.get("version") for version in versions)


def _headline(name: str, versions: list[wire.Version]) -> None:
    places = {alias: version.number for version in versions for alias in version.aliases}
    live = f"v{places['live']} is live" if "live" in places else "nothing is live"
    behind = f", v{places['previous']} is what a rollback brings back" if "previous" in places else ""
    newest = f"; the newest is v{max(v.number for v in versions)}" if versions else ""
    answer = f"{name} has {readable.count(len(versions), 'version')}: {live}{behind}{newest}."
    components.headline("What versions are there and where do they stand?", answer, "live" if "live" in places else "accent")


def _trends(versions: list[wire.Version]) -> None:
    """Key metrics of the newest version, each with its line over the last versions."""
    recent = sorted(versions, key=lambda version: version.number)[-30:]
    names = [name for name in tables.METRICS if any(tables.metric(version.metrics, name) is not None for version in recent)][:5]
    for column, name in zip(st.columns(len(names) or 1), names, strict=False):
        values = [value for version in recent if (value := tables.metric(version.metrics, name)) is not None]
        change = readable.signed(values[-1] - values[-2], tables.metric_unit(name)) if len(values) > 1 else None
        column.metric(
            tables.metric_title(name),
            readable.number(values[-1], tables.metric_unit(name)),
            change,
            delta_color="off",
            delta_arrow="off",
            border=True,
            chart_data=values if len(values) > 1 else None,
            help=f"The newest version's, over the last {len(values)} versions; the change is to the one before.",
        )


def _table(versions: list[wire.Version]) -> None:
    components.title("Versions")
    rows = tables.version_rows(versions, session.now())
    frame = pandas.DataFrame(rows).dropna(axis="columns", how="all")
    options, tones = _chips()
    shares = {tables.metric_title(name): st.column_config.NumberColumn(format="%.1f %%") for name in ("a_rate", "c_rate", "refusal_rate")}
    plain = {tables.metric_title(name): st.column_config.NumberColumn(format="%.3f") for name in ("eval_loss", "perplexity")}
    timed = {tables.metric_title(name): st.column_config.NumberColumn(format="%.2f s") for name in ("p95_latency", "p95_ttft")}
    st.dataframe(
        frame,
        hide_index=True,
        height=min(38 + 35 * len(rows), 395),
        key="registry_table",
        on_select=lambda: _select(rows),
        selection_mode="multi-row",
        placeholder=readable.NOTHING,
        column_config={
            "Aliases": st.column_config.MultiselectColumn(options=options, color=tones, width="medium"),
            "Throughput": st.column_config.NumberColumn(format="%.2f req/s"),
            "Version": st.column_config.TextColumn(pinned=True),
            **shares,
            **plain,
            **timed,
        },
        alt="Versions with their aliases and metrics",
    )
    st.caption("Tick one row to open it below, two to compare them.")


def _chips() -> tuple[list[str], list[str]]:
    palette = components.colours()
    tones = {
        "live": palette.live_soft,
        "previous": palette.broken_soft,
        "candidate": palette.candidate_soft,
        "staged": palette.candidate_soft,
        "eval-passed": palette.good_soft,
        "perf-passed": palette.good_soft,
        "eval-failed": palette.bad_soft,
        "perf-failed": palette.bad_soft,
    }
    return [tables.alias_text(alias) for alias in tones], list(tones.values())


def _select(rows: list[dict[str, object]]) -> None:
    """Write the ticked rows into the page's address: the first is opened, the second compared with it."""
    ticked = [str(rows[index]["Version"]).removeprefix("v") for index in st.session_state["registry_table"]["selection"]["rows"]]
    if ticked:
        st.query_params["version"] = ticked[0]
    if len(ticked) > 1:
        st.query_params["against"] = ticked[1]
    else:
        st.query_params.pop("against", None)


def _chosen(name: str, versions: list[wire.Version]) -> None:
    first, second = st.columns(2)
    with first:
        number = components.choose_version("registry", versions, "Open version")
    with second:
        others = ["none", *(str(version.number) for version in versions if version.number != number)]
        against = components.choose(
            "Compare with", others, "registry_against", "against", "none", lambda o: "nothing" if o == "none" else f"v{o}"
        )
    detail = reads.version(name, number)
    if against != "none":
        _compare(detail, reads.version(name, int(against)))
        return
    _detail(name, detail)


def _compare(first: wire.VersionDetail, second: wire.VersionDetail) -> None:
    components.title(f"v{first.version.number} beside v{second.version.number}")
    only = st.toggle("Only what differs", value=True, key="registry_only_differs")
    rows = [
        (markup.text(what), markup.text(left), markup.text(right), markup.badge("≠", "differs", "unsure") if differs else "")
        for what, left, right, differs in tables.version_differences(first, second)
        if differs or not only
    ]
    heads = ("", f"v{first.version.number}", f"v{second.version.number}", "")
    aliases = ("Aliases", markup.aliases(first.version.aliases), markup.aliases(second.version.aliases), "")
    st.html(markup.table(heads, [aliases, *rows]))
    curves = {
        f"v{one.version.number} {metric}": points for one in (first, second) for metric, points in one.curves.items() if "loss" in metric
    }
    st.plotly_chart(charts.curve(curves, "loss (nats per token)", components.colours()), key="registry_curves_two", theme=None)


def _detail(name: str, detail: wire.VersionDetail) -> None:
    version = detail.version
    with st.container(border=True):
        st.html(f"<strong>{markup.text(name)} v{version.number}</strong> {markup.aliases(version.aliases)}")
        left, right = st.columns([2, 3], gap="large")
        left.html(markup.track(version))
        right.html(markup.facts(_facts(version)))
    _put_aside(name, version)
    lineage, learning, files, card = st.tabs(["Lineage", "Training", "Files", "Card"])
    with lineage:
        _lineage(name, detail)
    with learning:
        _learning(detail)
    with files:
        _files(name, detail)
    with card:
        st.markdown(reads.card(name, version.number))


def _put_aside(name: str, version: wire.Version) -> None:
    """Archive, or the way back; live and previous are neither."""
    if version.is_protected:
        return
    verb, icon = ("Restore", ":material/unarchive:") if version.is_archived else ("Archive", ":material/archive:")
    with st.popover(f"{verb} …", icon=icon):
        st.markdown(
            "It comes back to the lists, without the aliases it had."
            if version.is_archived
            else "It loses its aliases and leaves the lists; files and history stay, and it can be restored."
        )
        reason = st.text_input("Reason (required)", key="registry_aside_reason", max_chars=500, live="400ms")
        if st.button(f"{verb} v{version.number}", key="registry_aside", icon=icon, disabled=not reason.strip()):
            act = session.client().restore if version.is_archived else session.client().archive
            act(name, version.number, reason.strip())
            reads.forget()
            st.session_state.pop("registry_aside_reason", None)
            st.rerun()


def _facts(version: wire.Version) -> list[tuple[str, str]]:
    return [
        ("Digest", markup.identifier(version.digest, 12)),
        ("MLflow run", markup.identifier(version.run_id)),
        ("Created", markup.when(version.created_at, session.now())),
    ]


def _lineage(name: str, detail: wire.VersionDetail) -> None:
    version = detail.version
    data = version.tags.get("data-version", version.tags.get("data_version", "unknown"))
    dataset = version.tags.get("dataset", "the dataset")
    promoted = [
        f"{'rolled back to' if one.is_rollback else 'made live'} {markup.when(one.started_at, session.now())} by {markup.text(one.actor)}"
        for one in detail.promotions
    ]
    arrow = '<span class="gw-muted"> → </span>'
    parts = [
        markup.badge("▤", f"{dataset} v{data}", "accent"),
        f"run {markup.identifier(version.run_id)}",
        markup.badge("◆", f"{name} v{version.number}", "candidate"),
        *(promoted or ["<span class='gw-muted'>never live</span>"]),
    ]
    st.html(arrow.join(parts))
    with st.container(horizontal=True):
        components.link("evaluation", "Gate 1", ":material/rule:", model=name, version=version.number)
        components.link("performance", "Gate 2", ":material/speed:", model=name, version=version.number)
        components.link("promotion", "Promotion", ":material/rocket_launch:", model=name)


def _learning(detail: wire.VersionDetail) -> None:
    losses = {name: points for name, points in detail.curves.items() if "loss" in name}
    left, right = st.columns([3, 2], gap="large")
    left.plotly_chart(charts.curve(losses, "loss (nats per token)", components.colours()), key="registry_curves", theme=None)
    rows = [(markup.text(name), markup.text(value)) for name, value in sorted(detail.parameters.items())]
    with right:
        if rows:
            st.html(markup.table(("Parameter", "Value"), rows))
        else:
            components.empty("No parameters were recorded.", "The training run logs them to MLflow.")


def _files(name: str, detail: wire.VersionDetail) -> None:
    number = detail.version.number
    rows = [(markup.text(file.path), readable.size(file.size_bytes)) for file in detail.files]
    st.html(markup.table(("File", "Size"), rows, numeric=(1,)))
    if st.button("Prepare download", key="registry_prepare", icon=":material/folder_zip:"):
        content = session.client().download(name, number)
        st.download_button("Download the adapter (zip)", content, f"{name}-v{number}.zip", "application/zip", key="registry_download")


draw()
