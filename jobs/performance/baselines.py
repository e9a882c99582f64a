"""What the candidate's speed is held against: live in the same test, or a stored test of it. It decides nothing."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from controlplane import ports
from controlplane.core import adapters, evidence, latency, lifecycle, load_results, serving_environment

_TAG = "environment."


@dataclass(frozen=True)
class Baseline:
    """`note` says which one it is, or why there is none. `kind`: `alternated`, `stored` or `none`."""

    note: str
    kind: str = "none"
    test: latency.LoadTest | None = None
    role: str = latency.LIVE
    run_id: str = ""
    version: int | None = None


def find(
    registry: ports.Registry,
    tracking: ports.Tracking,
    version: ports.Version,
    record: load_results.LoadResults,
    arguments: argparse.Namespace,
) -> Baseline:
    """Live in the same test, else the newest passed test of live under the same load on the same environment."""
    live = registry.model(version.model).aliases.get(lifecycle.Alias.LIVE)
    if live is None:
        return Baseline("First deploy: nothing is live, so only the floors decide.")
    if live == version.number:
        return Baseline(f"Version {live} is live itself, so only the floors decide.")
    if latency.LIVE in record.slots:
        return Baseline(f"Baseline: live version {live}, in turns with the candidate.", "alternated", record.test, version=live)
    if arguments.baseline == "none":
        return Baseline(f"No baseline was wished for, so only the floors decide; version {live} is live.")
    return _stored(tracking, version.model, live, record, arguments.mlflow_experiment)


def wrong_versions(registry: ports.Registry, version: ports.Version, record: load_results.LoadResults) -> tuple[str, ...]:
    """Slots that answered with another version than the registry says; such a test says nothing of this one."""
    expected = {latency.CANDIDATE: version}
    live = registry.model(version.model).aliases.get(lifecycle.Alias.LIVE)
    if live is not None:
        expected[latency.LIVE] = registry.resolve(version.model, f"version:{live}")
    found = []
    for role, slot in record.slots.items():
        own = expected.get(role)
        wanted = adapters.directory_name(own.model, own.number, adapters.Digest(own.digest)) if own else "no version"
        if not slot.root.endswith(f"/{wanted}"):
            found.append(f"Slot {slot.name} answered from {slot.root}, not from {wanted}; deploy, then test again.")
    return tuple(found)


def _stored(tracking: ports.Tracking, model: str, live: int, record: load_results.LoadResults, experiment: str) -> Baseline:
    tags = {"model": model, "version": str(live), "gate": evidence.Gate.PERFORMANCE.value, "outcome": evidence.Outcome.PASS.value}
    alike = [run for run in tracking.search(experiment, tags) if record.settings.items() <= run.parameters.items()]
    elsewhere = {run.id: serving_environment.differences(record.environment, environment_of(run)) for run in alike}
    for run in alike:
        if not elsewhere[run.id]:
            note = f"Baseline: version {live}, stored MLflow run {run.id[:8]}."
            return Baseline(note, "stored", _test(tracking, run.id), latency.CANDIDATE, run.id, live)
    if alike:
        run_id, other = alike[0].id[:8], "; ".join(elsewhere[alike[0].id])
        return Baseline(f"Run {run_id} of live version {live} is no baseline, for it was elsewhere: {other}. Only the floors decide.")
    load = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in record.settings.items() if name != "questions")
    return Baseline(f"Live version {live} has no passed load test like this one ({load}), so only the floors decide.")


def environment_tags(environment: Mapping[str, str]) -> dict[str, str]:
    """By which `environment_of` finds it on a run."""
    return {f"{_TAG}{name}": value for name, value in environment.items()}


def environment_of(run: ports.TrackedRun) -> dict[str, str]:
    return {name.removeprefix(_TAG): value for name, value in run.tags.items() if name.startswith(_TAG)}


def _test(tracking: ports.Tracking, run_id: str) -> latency.LoadTest:
    results, samples = (tracking.artifact(run_id, name) for name in ("results.json", "samples.parquet"))
    return load_results.from_files(results.decode(), samples).test
