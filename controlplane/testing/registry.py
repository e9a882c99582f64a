"""A model registry and a tracking server in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from controlplane import ports
from controlplane.core import adapters, errors, lifecycle
from controlplane.testing.basics import adapter_files, raise_fault, ticks


@dataclass
class FakeTracking:
    """Runs by id; `files` maps (run id, artifact path) to content."""

    fault: errors.GatewrightError | None = None
    runs: dict[str, ports.TrackedRun] = field(default_factory=dict)
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    histories: dict[tuple[str, str], list[tuple[int, float]]] = field(default_factory=dict)
    clock: Iterator[datetime] = field(default_factory=ticks)

    def run(self, run_id: str) -> ports.TrackedRun:
        raise_fault(self.fault)
        if run_id not in self.runs:
            raise errors.NotFound(f"There is no MLflow run {run_id!r}.")
        return self.runs[run_id]

    def search(self, experiment: str, tags: Mapping[str, str], limit: int = 100) -> list[ports.TrackedRun]:
        raise_fault(self.fault)
        found = [run for run in self.runs.values() if run.experiment == experiment and tags.items() <= run.tags.items()]
        return sorted(found, key=lambda run: run.started_at, reverse=True)[:limit]

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        metrics = self.run(run_id).metrics
        default = [(0, metrics[metric])] if metric in metrics else []
        return sorted(self.histories.get((run_id, metric), default))

    def log(
        self,
        experiment: str,
        name: str,
        *,
        parameters: Mapping[str, str],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        files: Sequence[Path] = (),
        dataset: ports.LoggedDataset | None = None,
        table: Path | None = None,
    ) -> str:
        raise_fault(self.fault)
        run_id = f"{len(self.runs) + 1:032x}"
        self.runs[run_id] = ports.TrackedRun(
            run_id, name, experiment, "FINISHED", next(self.clock), dict(metrics), dict(parameters), dict(tags), dataset
        )
        if table is not None:
            self.files[run_id, f"{table.stem}.json"] = _as_table(table)
        for path in files:
            self._keep(run_id, path)
        return run_id

    def artifact(self, run_id: str, path: str) -> bytes:
        self.run(run_id)
        if (run_id, path) not in self.files:
            raise errors.NotFound(f"MLflow run {run_id} has no artifact {path!r}.")
        return self.files[run_id, path]

    def artifacts(self, run_id: str, path: str = "") -> list[tuple[str, int]]:
        self.run(run_id)
        folder = PurePosixPath(path)
        sizes: dict[str, int] = {}
        for (owner, name), content in self.files.items():
            if owner == run_id and folder in PurePosixPath(name).parents:
                child = folder / PurePosixPath(name).relative_to(folder).parts[0]
                sizes[str(child)] = len(content) if str(child) == name else 0
        return sorted(sizes.items())

    def _keep(self, run_id: str, path: Path) -> None:
        if path.is_dir():
            for file in sorted(file for file in path.rglob("*") if file.is_file()):
                self.files[run_id, f"{path.name}/{file.relative_to(path).as_posix()}"] = file.read_bytes()
        else:
            self.files[run_id, path.name] = path.read_bytes()


@dataclass
class FakeRegistry:
    """Versions of models over the runs of `tracking`; `add` makes a version in one line."""

    tracking: FakeTracking = field(default_factory=FakeTracking)
    fault: errors.GatewrightError | None = None
    aliases: dict[str, dict[str, int]] = field(default_factory=dict)
    clock: Iterator[datetime] = field(default_factory=ticks)
    applied: list[lifecycle.AliasChange] = field(default_factory=list)
    _versions: dict[str, list[ports.Version]] = field(default_factory=dict)
    _created: dict[str, datetime] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)

    def add(
        self,
        name: str,
        *,
        aliases: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> ports.Version:
        """A version with its run and both adapter files, tagged with their digest unless `tags` names one."""
        content = files or adapter_files(f"{name} {len(self._versions.get(name, []))}")
        run_id = self.tracking.log("training", name, parameters={}, metrics=metrics or {}, tags={})
        for file, data in content.items():
            self.tracking.files[run_id, f"adapter/{file}"] = data
        digest = adapters.digest({file: [data] for file, data in content.items()})
        version = self.register(name, run_id, {"digest": digest, **(tags or {})})
        self.aliases[name].update(dict.fromkeys(aliases, version.number))
        return self.resolve(name, f"version:{version.number}")

    def models(self) -> list[ports.Model]:
        raise_fault(self.fault)
        return [self.model(name) for name in sorted(self._versions)]

    def model(self, name: str) -> ports.Model:
        raise_fault(self.fault)
        versions = self._of(name)
        latest = versions[-1].number if versions else None
        return ports.Model(name, dict(self.aliases[name]), self._created[name], latest)

    def versions(self, name: str) -> list[ports.Version]:
        raise_fault(self.fault)
        return [self._with_aliases(version) for version in reversed(self._of(name))]

    def resolve(self, name: str, source: str) -> ports.Version:
        raise_fault(self.fault)
        kind, _, value = source.partition(":")
        if kind == "version" and value.isdecimal():
            number = int(value)
        elif kind == "alias" and value:
            self._of(name)
            number = self.aliases[name].get(value, 0)
        else:
            raise errors.InvalidInput(f"{source!r} names no version.", hint="Write alias:<alias> or version:<number>.")
        return self._with_aliases(self._version(name, number, source))

    def register(self, name: str, run_id: str, tags: Mapping[str, str]) -> ports.Version:
        raise_fault(self.fault)
        adapters.check_model_name(name)
        if not self.tracking.artifacts(run_id, "adapter"):
            raise errors.NotFound(f"MLflow run {run_id} has no artifact 'adapter'.")
        self._created.setdefault(name, next(self.clock))
        self.aliases.setdefault(name, {})
        versions = self._versions.setdefault(name, [])
        self._last[name] = self._last.get(name, 0) + 1
        versions.append(ports.Version(name, self._last[name], run_id, next(self.clock), (), dict(tags)))
        return versions[-1]

    def download(self, version: ports.Version, directory: Path) -> Path:
        raise_fault(self.fault)
        files = {path: data for (owner, path), data in self.tracking.files.items() if owner == version.run_id}
        directory.mkdir(parents=True, exist_ok=True)
        for name in adapters.REQUIRED_FILES:
            if f"adapter/{name}" not in files:
                raise errors.NotFound(f"Version {version.number} of {version.model} has no {name}.")
            (directory / name).write_bytes(files[f"adapter/{name}"])
        return directory

    def apply(self, name: str, changes: Sequence[lifecycle.AliasChange]) -> None:
        for change in changes:
            raise_fault(self.fault)
            self._of(name)
            if change.version is None:
                self.aliases[name].pop(change.alias, None)
            else:
                self._version(name, change.version, f"version:{change.version}")
                self.aliases[name][str(change.alias)] = change.version
            self.applied.append(change)

    def tag(self, version: ports.Version, tags: Mapping[str, str]) -> None:
        raise_fault(self.fault)
        stored = self._version(version.model, version.number, f"version:{version.number}")
        versions = self._versions[version.model]
        versions[versions.index(stored)] = replace(stored, tags={**stored.tags, **tags})

    def delete(self, version: ports.Version) -> None:
        raise_fault(self.fault)
        self._versions[version.model].remove(self._version(version.model, version.number, f"version:{version.number}"))
        aliases = self.aliases[version.model]
        self.aliases[version.model] = {alias: number for alias, number in aliases.items() if number != version.number}

    def _of(self, name: str) -> list[ports.Version]:
        if name not in self._versions:
            raise errors.NotFound(f"There is no model {name!r}.")
        return self._versions[name]

    def _version(self, name: str, number: int, source: str) -> ports.Version:
        for version in self._of(name):
            if version.number == number:
                return version
        raise errors.NotFound(f"Model {name} has no {source.replace(':', ' ')}.")

    def _with_aliases(self, version: ports.Version) -> ports.Version:
        mine = sorted(alias for alias, number in self.aliases[version.model].items() if number == version.number)
        return replace(version, aliases=tuple(mine))


def _as_table(file: Path) -> bytes:
    """JSONL as columns and rows, as MLflow keeps tables."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    columns = list(rows[0]) if rows else []
    return json.dumps({"columns": columns, "data": [[row[name] for name in columns] for row in rows]}).encode()
