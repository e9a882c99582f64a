"""Commands on models: list, versions, history, and the two decisions, promote and roll back. The rules are the API's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from controlplane import client, wire
from controlplane.cli import follow, output, session
from controlplane.core import errors, lifecycle

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name, as `gatewright models` shows it.")]
Number = Annotated[int, typer.Argument(min=1, help="The version's number.")]
Reason = Annotated[str, typer.Option(help="Why; it goes into the ledger.")]

HISTORY_LIMIT = 1000
SHOWN_METRICS = ("eval_loss", "perplexity", "a_rate", "c_rate", "refusal_rate", "p95_latency", "throughput")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def list_models(ctx: typer.Context, json: output.JsonFlag = False) -> None:
    """List models and what is live."""
    found = session.reading(ctx).models()
    if json:
        output.as_json(found)
        return
    output.table(
        ("model", "live", "candidate", "latest", "aliases", "created"),
        ([*_model_cells(model), output.ago(model.created_at)] for model in found),
        empty="No models yet. Train one: gatewright launch training --wait",
    )


def versions(
    ctx: typer.Context,
    model: ModelName,
    all_: Annotated[bool, typer.Option("--all", help="Archived versions too.")] = False,
    json: output.JsonFlag = False,
) -> None:
    """List a model's versions, newest first."""
    found = [version for version in session.reading(ctx).versions(model) if all_ or not version.is_archived]
    if json:
        output.as_json(found)
        return
    metrics = [name for name in SHOWN_METRICS if any(name in version.metrics for version in found)]
    output.table(
        ("version", "stage", "aliases", *metrics, "digest", "MLflow run", "created"),
        (_version_cells(version, metrics) for version in found),
        empty=f"{model} has no versions yet. Train one: gatewright launch training -p model-name={model} --wait",
    )


def history(
    ctx: typer.Context,
    model: ModelName,
    at: Annotated[
        str, typer.Option(metavar="TIME", help="What was live then: 2026-01-31, '2026-01-31 14:05', or so long ago: 30m, 2h, 3d, 1w.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=HISTORY_LIMIT, help="At most so many events, newest first.")] = 50,
    json: output.JsonFlag = False,
) -> None:
    """Who did what to a model, when and why."""
    if at:
        _answer_live_at(session.reading(ctx), model, read_time(at, datetime.now(UTC)), json)
        return
    events = session.reading(ctx).history(model, limit=limit)
    if json:
        output.as_json(events)
        return
    show_events(events, f"Nothing has happened to {model} yet.")


def promote(
    ctx: typer.Context,
    model: ModelName,
    source_alias: Annotated[str, typer.Option(help="Make the version live that carries this alias.")] = lifecycle.Alias.PERF_PASSED.value,
    reason: Reason = "",
    override: Annotated[bool, typer.Option("--override", help="Go past the promotion policy; needs a reason, kept in the ledger.")] = False,
    json: output.JsonFlag = False,
) -> None:
    """Make a version live on every replica; the live one becomes previous."""
    api = session.patient(ctx)
    live = api.model(model).live or 0
    _conclude(_settled(api, api.promote(model, source_alias, reason, override=override, expected_live=live)), json)


def rollback(ctx: typer.Context, model: ModelName, reason: Reason = "", json: output.JsonFlag = False) -> None:
    """Make the previous version live again."""
    api = session.patient(ctx)
    _conclude(_settled(api, api.rollback(model, reason, expected_live=api.model(model).live or 0)), json)


def adopt(ctx: typer.Context, model: ModelName, reason: Reason = "") -> None:
    """Serve what somebody made live in MLflow itself."""
    session.patient(ctx).adopt(model, reason)
    output.say(f"{model}: every replica serves what MLflow calls live.", "green")


def revert(ctx: typer.Context, model: ModelName, reason: Reason = "") -> None:
    """Put aliases back that somebody moved in MLflow itself."""
    session.patient(ctx).revert(model, reason)
    output.say(f"{model}: live and previous are where the last decision put them.", "green")


def archive(ctx: typer.Context, model: ModelName, version: Number, reason: Reason = "") -> None:
    """Put a version aside: it loses its aliases and leaves the lists."""
    session.patient(ctx).archive(model, version, reason)
    output.say(f"{model} v{version} is archived. Way back: gatewright restore {model} {version}", "green")


def restore(ctx: typer.Context, model: ModelName, version: Number, reason: Reason = "") -> None:
    """Bring an archived version back, without the aliases it had."""
    session.patient(ctx).restore(model, version, reason)
    output.say(f"{model} v{version} is in the lists again.", "green")


def delete(ctx: typer.Context, model: ModelName, version: Number, reason: Reason = "") -> None:
    """Delete a version; live and previous are protected."""
    session.patient(ctx).remove(model, version, reason)
    output.say(f"{model} v{version} is deleted.", "green")


def read_time(text: str, now: datetime) -> datetime:
    """An ISO date or time (without a zone: this machine's), or a span before `now` such as 30m or 2h.

    Raises:
        InvalidInput: neither.
    """
    span = re.fullmatch(r"(\d{1,6})([smhdw])( ago)?", text.strip())
    if span:
        return now - timedelta(**{UNITS[span[2]]: int(span[1])})
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except ValueError:
        raise errors.InvalidInput(
            f"{text!r} is not a time.", hint="Write 2026-01-31, '2026-01-31 14:05', or 30m, 2h, 3d, 1w ago."
        ) from None


def show_events(events: Sequence[wire.Event], empty: str, title: str = "") -> None:
    output.table(
        ("when", "what", "model", "version", "by", "reason"),
        (
            (
                output.ago(event.at),
                event.action,
                event.model,
                output.version(event.version),
                f"{event.actor} ({event.interface})",
                f"OVERRIDE {event.details['override']} {event.reason}" if event.details.get("override") else event.reason,
            )
            for event in events
        ),
        empty=empty,
        title=title,
    )


def _answer_live_at(api: client.Client, model: str, moment: datetime, json: bool) -> None:
    event = api.live_at(model, moment)
    if json:
        output.as_json(event)
        return
    if event is None:
        output.say(f"At {output.exact(moment)} no version of {model} was live.")
        return
    output.say(f"At {output.exact(moment)} version {event.version} of {model} was live.", "bold")
    why = f": {event.reason}" if event.reason else "."
    output.say(f"{event.action} by {event.actor} ({event.interface}) at {output.exact(event.at)}{why}")


def _settled(api: client.Client, promotion: wire.Promotion) -> wire.Promotion:
    """The promotion once it has ended; its own time-out is the API's, which always closes the journal."""
    while promotion.state == "running":
        follow.pause(follow.POLL_SECONDS)
        promotion = next((seen for seen in api.promotions(promotion.model) if seen.id == promotion.id), promotion)
    return promotion


def _conclude(promotion: wire.Promotion, json: bool) -> None:
    if json:
        output.as_json(promotion)
    if promotion.state not in ("done", "degraded"):
        output.complain(f"{promotion.model} v{promotion.version} did not go live: {promotion.error}", "bold red")
        output.complain(f"Next: see what is served now with gatewright status, then promote again. Promotion id: {promotion.id}")
        raise typer.Exit(output.FAILED)
    if json:
        return
    replaced = f"; v{promotion.replaces} is previous" if promotion.replaces is not None else ""
    output.say(f"{promotion.model} v{promotion.version} is live{replaced}.", "green")
    output.table(
        ("replica", "state", "answers from", "seconds", "fingerprint", "note"),
        (
            (proof.address, proof.state, proof.root, output.number(proof.seconds), proof.fingerprint, proof.note)
            for proof in promotion.replicas
        ),
        empty="No replica was asked.",
    )
    if promotion.replaces is not None:
        output.say(f"Way back: gatewright rollback {promotion.model}", "dim")


def _model_cells(model: wire.Model) -> list[str]:
    aliases = ", ".join(f"{alias}→v{number}" for alias, number in sorted(model.aliases.items()))
    return [model.name, output.version(model.live), output.version(model.candidate), output.version(model.latest_version), aliases or "–"]


def _version_cells(version: wire.Version, metrics: Sequence[str]) -> list[str]:
    measured = [output.number(version.metrics.get(name)) for name in metrics]
    aliases = ", ".join(version.aliases) or "–"
    return [f"v{version.number}", version.stage, aliases, *measured, version.digest[:12], version.run_id, output.ago(version.created_at)]
