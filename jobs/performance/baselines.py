"""What the candidate's speed is held against: live in the same test, or a stored test of it. It decides nothing."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from controlplane import ports
from controlplane.core import adapters, errors, evidence, latency, lifecycle, load_results, sample_table, serving_environment


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
    record: load_results.LoadRecord,
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


def wrong_versions(registry: ports.Registry, version: ports.Version, record: load_results.LoadRecord) -> tuple[str, ...]:
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


def _stored(tracking: ports.Tracking, model: str, live: int, record: load_results.LoadRecord, experiment: str) -> Baseline:
    tags = {"model": model, "version": str(live), "gate": evidence.Gate.PERFORMANCE.value, "outcome": evidence.Outcome.PASS.value}
    refused = ""
    for run in tracking.search(experiment, tags):
        try:
            found = read(tracking, run.id)
        except (errors.InvalidInput, errors.NotFound):
            continue
        if found.settings != record.settings:
            continue
        if other := serving_environment.differences(record.environment, found.environment):
            refused = refused or f" Run {run.id[:8]} of it is no baseline, for it was elsewhere: {'; '.join(other)}."
            continue
        note = f"Baseline: version {live}, stored MLflow run {run.id[:8]}."
        return Baseline(note, "stored", found.test, latency.CANDIDATE, run.id, live)
    load = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in record.settings.items() if name != "questions")
    return Baseline(f"Live version {live} has no passed load test like this one ({load}), so only the floors decide.{refused}")


def read(tracking: ports.Tracking, run_id: str) -> load_results.LoadRecord:
    """A stored test. Raises InvalidInput or NotFound where the run holds none."""
    samples = sample_table.from_parquet(tracking.artifact(run_id, "samples.parquet"))
    return load_results.from_json(tracking.artifact(run_id, "results.json").decode(), samples)
