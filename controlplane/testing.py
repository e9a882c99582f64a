"""In-memory fakes of the ports, for tests of services and for anyone who extends Gatewright. They pass the same suite as the real clients
(`tests/ports`) and do no I/O but reading and writing the files they are handed.

Every fake has `fault`: set it to one of our errors and each call raises it, as if the outside system were down.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from controlplane import ports
from controlplane.core import adapters, chain, datasets, errors, fingerprints, journal, lifecycle, pairwise, runs

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def ticks() -> Iterator[datetime]:
    """A clock that moves one second per reading, so that "newest first" is never a matter of luck."""
    return (EPOCH + timedelta(seconds=second) for second in itertools.count())


def adapter_files(name: str, base: str = "base") -> dict[str, bytes]:
    """The two files of a tiny LoRA adapter; another name makes another digest."""
    layer = "base_model.model.q_proj"
    tensors = {f"{layer}.lora_A.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}}
    header = json.dumps({"__metadata__": {"name": name}, **tensors}).encode()
    config = {"peft_type": "LORA", "r": 1, "bias": "none", "target_modules": ["q_proj"], "base_model_name_or_path": base}
    weights = len(header).to_bytes(8, "little") + header + bytes(4)
    return {"adapter_config.json": json.dumps(config).encode(), "adapter_model.safetensors": weights}


@dataclass
class FakeTracking:
    """Runs by id; `files` maps (run id, artifact path) to content."""

    fault: errors.GatewrightError | None = None
    runs: dict[str, ports.TrackedRun] = field(default_factory=dict)
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    histories: dict[tuple[str, str], list[tuple[int, float]]] = field(default_factory=dict)
    clock: Iterator[datetime] = field(default_factory=ticks)

    def run(self, run_id: str) -> ports.TrackedRun:
        _raise(self.fault)
        if run_id not in self.runs:
            raise errors.NotFound(f"There is no MLflow run {run_id!r}.")
        return self.runs[run_id]

    def search(self, experiment: str, tags: Mapping[str, str], limit: int = 100) -> list[ports.TrackedRun]:
        _raise(self.fault)
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
        _raise(self.fault)
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
        _raise(self.fault)
        return [self.model(name) for name in sorted(self._versions)]

    def model(self, name: str) -> ports.Model:
        _raise(self.fault)
        versions = self._of(name)
        latest = versions[-1].number if versions else None
        return ports.Model(name, dict(self.aliases[name]), self._created[name], latest)

    def versions(self, name: str) -> list[ports.Version]:
        _raise(self.fault)
        return [self._with_aliases(version) for version in reversed(self._of(name))]

    def resolve(self, name: str, source: str) -> ports.Version:
        _raise(self.fault)
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
        _raise(self.fault)
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
        _raise(self.fault)
        files = {path: data for (owner, path), data in self.tracking.files.items() if owner == version.run_id}
        directory.mkdir(parents=True, exist_ok=True)
        for name in adapters.REQUIRED_FILES:
            if f"adapter/{name}" not in files:
                raise errors.NotFound(f"Version {version.number} of {version.model} has no {name}.")
            (directory / name).write_bytes(files[f"adapter/{name}"])
        return directory

    def apply(self, name: str, changes: Sequence[lifecycle.AliasChange]) -> None:
        for change in changes:
            _raise(self.fault)
            self._of(name)
            if change.version is None:
                self.aliases[name].pop(change.alias, None)
            else:
                self._version(name, change.version, f"version:{change.version}")
                self.aliases[name][str(change.alias)] = change.version
            self.applied.append(change)

    def tag(self, version: ports.Version, tags: Mapping[str, str]) -> None:
        _raise(self.fault)
        stored = self._version(version.model, version.number, f"version:{version.number}")
        versions = self._versions[version.model]
        versions[versions.index(stored)] = replace(stored, tags={**stored.tags, **tags})

    def delete(self, version: ports.Version) -> None:
        _raise(self.fault)
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


@dataclass
class FakeInference:
    """One replica. `reply` makes the answer's text from the served root and the messages; one word is one token, and no time passes."""

    address: str = "http://vllm.test:8000"
    base: str = "base"
    fault: errors.GatewrightError | None = None
    slots: dict[str, Path] = field(default_factory=dict)
    broken: set[Path] = field(default_factory=set)
    loads: list[tuple[str, Path]] = field(default_factory=list)
    reply: Callable[[str, Sequence[Mapping[str, str]]], str] = lambda root, messages: f"{Path(root).name} says {messages[-1]['content']}"
    metrics: str = ""

    def is_healthy(self) -> bool:
        return self.fault is None

    def served(self) -> list[ports.Served]:
        _raise(self.fault)
        slots = [ports.Served(slot, str(directory), self.base) for slot, directory in self.slots.items()]
        return [ports.Served(self.base, self.base, ""), *slots]

    def load(self, slot: str, directory: Path) -> ports.Swap:
        _raise(self.fault)
        if self.slots.get(slot) != directory:
            self.slots.pop(slot, None)
            if directory in self.broken:
                raise errors.OutsideError("vLLM", self.address, f"cannot load {directory}")
            self.slots[slot] = directory
            self.loads.append((slot, directory))
        return ports.Swap(str(directory), 0.2)

    def unload(self, slot: str) -> None:
        _raise(self.fault)
        self.slots.pop(slot, None)

    def fingerprint(self, name: str) -> fingerprints.Fingerprint:
        words = [self.chat(name, [{"role": "user", "content": prompt}], max_tokens=4).text.split() for prompt in fingerprints.PROMPTS]
        return fingerprints.Fingerprint("fake", tuple(tuple(fingerprints.Token(word, -0.5, {}) for word in answer) for answer in words))

    def chat(
        self,
        name: str,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int,
        temperature: float = 0.0,  # noqa: ARG002 - the port's signature
    ) -> ports.Answer:
        _raise(self.fault)
        root = {served.name: served.root for served in self.served()}.get(name)
        if root is None:
            raise errors.NotFound(f"vLLM at {self.address} serves no {name!r}.")
        words = self.reply(root, messages).split()
        kept = words[:max_tokens]
        prompt_tokens = sum(len(message["content"].split()) for message in messages)
        finish_reason = "stop" if kept == words else "length"
        return ports.Answer(" ".join(kept), finish_reason, prompt_tokens, len(kept), None, 0.2)

    @asynccontextmanager
    async def kept_open(self) -> AsyncIterator[FakeInference]:
        yield self

    async def stream(
        self, name: str, messages: Sequence[Mapping[str, str]], *, max_tokens: int, temperature: float = 0.0
    ) -> AsyncIterator[ports.Delta]:
        answer = self.chat(name, messages, max_tokens=max_tokens, temperature=temperature)
        for number, word in enumerate(answer.text.split()):
            yield ports.Delta(f" {word}" if number else word)
        yield ports.Delta("", replace(answer, first_token_seconds=0.1 if answer.text else None))

    def metrics_text(self) -> str:
        _raise(self.fault)
        return self.metrics


@dataclass
class _Job:
    spec: ports.JobSpec
    status: runs.JobStatus = field(default_factory=lambda: runs.JobStatus(is_running=True))
    lines: list[ports.LogLine] = field(default_factory=list)


@dataclass
class FakeExecutor:
    """Jobs that run until a test says otherwise: `finish` ends one, `say` writes a log line, `script` ends all jobs of a module at once."""

    fault: errors.GatewrightError | None = None
    gpus: int = 1
    cancelled: list[str] = field(default_factory=list)
    _jobs: dict[str, _Job] = field(default_factory=dict)
    _scripts: dict[str, runs.JobStatus] = field(default_factory=dict)

    def start(self, job: ports.JobSpec) -> str:
        _raise(self.fault)
        if job.key not in self._jobs:
            busy = sum(other.spec.gpus for other in self._jobs.values() if other.status.is_running)
            if job.gpus and busy + job.gpus > self.gpus:
                raise errors.Conflict(f"No GPU is free for {job.key}.", hint="It starts when another job ends.")
            self._jobs[job.key] = _Job(job, self._scripts.get(job.module, runs.JobStatus(is_running=True)))
        return job.key

    def status(self, handle: str) -> runs.JobStatus:
        """An unknown handle is a job that vanished: not running, no exit status."""
        _raise(self.fault)
        return self._jobs[handle].status if handle in self._jobs else runs.JobStatus(is_running=False)

    def cancel(self, handle: str) -> None:
        _raise(self.fault)
        self.cancelled.append(handle)
        if handle in self._jobs and self._jobs[handle].status.is_running:
            self.finish(handle, exit_code=143, reason="Stopped by SIGTERM.")

    def logs(self, handle: str, after: int = 0) -> list[ports.LogLine]:
        _raise(self.fault)
        lines = self._jobs[handle].lines if handle in self._jobs else []
        return [line for line in lines if line.number > after]

    def artifact_dir(self, handle: str) -> str:
        return f"/artifacts/{handle}"

    @property
    def jobs(self) -> dict[str, ports.JobSpec]:
        """Every job ever started, by handle, in order."""
        return {handle: job.spec for handle, job in self._jobs.items()}

    def finish(self, handle: str, exit_code: int | None = 0, outputs: Mapping[str, str] | None = None, reason: str = "") -> None:
        """Ends a job; `exit_code` None makes it vanish."""
        self._jobs[handle].status = runs.JobStatus(False, exit_code, outputs or {}, reason)

    def script(self, module: str, exit_code: int = 0, outputs: Mapping[str, str] | None = None, reason: str = "") -> None:
        """Every job of this module started from now on has ended like this at once."""
        self._scripts[module] = runs.JobStatus(False, exit_code, outputs or {}, reason)

    def say(self, handle: str, message: str, level: str = "INFO", **fields: object) -> None:
        job = self._jobs[handle]
        number = len(job.lines) + 1
        time_text = (EPOCH + timedelta(seconds=number)).isoformat(timespec="milliseconds")
        job.lines.append(ports.LogLine(number, time_text, level, job.spec.module.rpartition(".")[2], message, fields))


@dataclass
class FakeLedger:
    """Events, promotions, votes and grades in lists; one running promotion a model."""

    fault: errors.GatewrightError | None = None
    _events: list[ports.Event] = field(default_factory=list)
    _promotions: dict[str, ports.PromotionRecord] = field(default_factory=dict)
    _votes: list[ports.Vote] = field(default_factory=list)
    _corrections: list[ports.GradeCorrection] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def append(self, event: ports.Event) -> ports.Event:
        _raise(self.fault)
        with self._lock:
            return self._append(event)

    def events(self, model: str = "", limit: int = 100) -> list[ports.Event]:
        _raise(self.fault)
        return [event for event in reversed(self._events) if model in ("", event.model)][:limit]

    def latest(self, model: str, actions: Collection[str], until: datetime | None = None) -> list[ports.Event]:
        _raise(self.fault)
        found = [event for event in reversed(self._events) if event.model == model and event.action in actions]
        return [event for event in found if until is None or event.at <= until][:1]

    def chain(self) -> Iterator[ports.Event]:
        _raise(self.fault)
        yield from self._events

    def open_promotion(self, record: ports.PromotionRecord) -> ports.PromotionRecord:
        _raise(self.fault)
        with self._lock:
            for other in self._promotions.values():
                if other.model == record.model and other.state == "running":
                    raise journal.taken(other.model, other.version, other.actor, other.started_at, None)
            self._promotions[record.id] = record
        return record

    def save_promotion(self, record: ports.PromotionRecord) -> None:
        _raise(self.fault)
        self._running(record, ())
        self._promotions[record.id] = record

    def close_promotion(self, record: ports.PromotionRecord, event: ports.Event | None = None) -> None:
        _raise(self.fault)
        if not record.state.is_final:
            raise errors.InvalidInput(f"Promotion {record.id} is still running.")
        with self._lock:
            stored = self._running(record, (record.state,))
            if event is not None and not stored.state.is_final:
                self._append(event)
            self._promotions[record.id] = record

    def promotions(self, model: str = "", limit: int = 100) -> list[ports.PromotionRecord]:
        _raise(self.fault)
        found = [record for record in self._promotions.values() if model in ("", record.model)]
        return sorted(found, key=lambda record: record.started_at, reverse=True)[:limit]

    def vote(self, vote: ports.Vote) -> ports.Vote:
        _raise(self.fault)
        with self._lock:
            self._votes.append(replace(vote, id=len(self._votes) + 1))
            return self._votes[-1]

    def votes(self, model: str, limit: int = ports.MOST_VOTES, *, version: int | None = None, evaluation_run: str = "") -> list[ports.Vote]:
        _raise(self.fault)
        found = [vote for vote in reversed(self._votes) if vote.model == model and version in (None, vote.candidate_version)]
        return [vote for vote in found if evaluation_run in ("", vote.evaluation_run)][:limit]

    def correct(self, correction: ports.GradeCorrection) -> ports.GradeCorrection:
        _raise(self.fault)
        with self._lock:
            self._corrections.append(replace(correction, id=len(self._corrections) + 1))
            return self._corrections[-1]

    def corrections(self, model: str, version: int, evaluation_run: str = "") -> list[ports.GradeCorrection]:
        _raise(self.fault)
        mine = [one for one in self._corrections if (one.model, one.version) == (model, version)]
        return [one for one in mine if evaluation_run in ("", one.evaluation_run)]

    def _append(self, event: ports.Event) -> ports.Event:
        previous = self._events[-1].hash if self._events else chain.GENESIS
        linked = replace(event, id=len(self._events) + 1, previous_hash=previous, hash=chain.entry_hash(previous, event.entry()))
        self._events.append(linked)
        return linked

    def _running(self, record: ports.PromotionRecord, final: tuple[str, ...]) -> ports.PromotionRecord:
        stored = self._promotions.get(record.id)
        if stored is None:
            raise errors.NotFound(f"There is no promotion {record.id!r}.")
        if stored.state not in ("running", *final):
            raise errors.Conflict(f"Promotion {record.id} has ended as {stored.state} already.")
        return stored


@dataclass
class FakeRunStore:
    """Runs by id. A lease is held while its context is open, unless `monotonic` runs past its seconds."""

    fault: errors.GatewrightError | None = None
    monotonic: Callable[[], float] = time.monotonic
    _runs: dict[runs.RunId, runs.Run] = field(default_factory=dict)
    _leases: dict[str, tuple[str, float]] = field(default_factory=dict)

    def add(self, run: runs.Run) -> None:
        _raise(self.fault)
        if run.id in self._runs:
            raise errors.Conflict(f"There is a run {run.id} already.")
        self._runs[run.id] = run

    def get(self, run_id: runs.RunId) -> runs.Run:
        _raise(self.fault)
        if run_id not in self._runs:
            raise errors.NotFound(f"There is no run {run_id!r}.", hint="List the runs to see which there are.")
        return self._runs[run_id]

    def list(self, *, workflow: str = "", model: str = "", is_active: bool = False, limit: int = 50) -> list[runs.Run]:
        _raise(self.fault)
        found = [
            run
            for run in self._runs.values()
            if workflow in ("", run.workflow) and model in ("", run.parameters.get("model-name")) and not (is_active and run.state.is_final)
        ]
        return sorted(found, key=lambda run: run.created_at, reverse=True)[:limit]

    def save(self, run: runs.Run) -> None:
        self._runs[run.id] = runs.merged(self.get(run.id), run)

    def beat(self, holder: str, seconds: float) -> None:
        _raise(self.fault)
        self._leases[f"alive:{holder}"] = (holder, self.monotonic() + seconds)

    def is_beating(self, holder: str) -> bool:
        _raise(self.fault)
        return self._leases.get(f"alive:{holder}", ("", 0.0))[1] > self.monotonic()

    @contextmanager
    def lease(self, name: str, holder: str, seconds: float) -> Iterator[bool]:
        _raise(self.fault)
        owner, until = self._leases.get(name, ("", 0.0))
        is_mine = owner in ("", holder) or until <= self.monotonic()
        if is_mine:
            self._leases[name] = (holder, self.monotonic() + seconds)
        try:
            yield is_mine
        finally:
            if is_mine and self._leases.get(name, ("", 0.0))[0] == holder:
                del self._leases[name]


@dataclass
class FakeObjectStore:
    """Contents by key."""

    fault: errors.GatewrightError | None = None
    contents: dict[str, bytes] = field(default_factory=dict)

    def list(self, prefix: str) -> list[str]:
        _raise(self.fault)
        return sorted(key for key in self.contents if key.startswith(prefix))

    def read(self, key: str) -> bytes:
        _raise(self.fault)
        if _checked(key) not in self.contents:
            raise errors.NotFound(f"There is no {self.address(key)}.")
        return self.contents[key]

    def write(self, key: str, content: bytes) -> None:
        _raise(self.fault)
        self.contents[_checked(key)] = content

    def address(self, key: str) -> str:
        return f"memory://{_checked(key)}"


@dataclass
class FakeAdapterStore:
    """Homes below `root`, which need not exist: `installed` holds the homes that have been filled, once each."""

    root: Path = Path("/adapters")
    fault: errors.GatewrightError | None = None
    installed: list[Path] = field(default_factory=list)
    pointers: dict[str, Path] = field(default_factory=dict)

    def home(self, version: ports.Version) -> Path:
        _raise(self.fault)
        if not version.digest:
            raise errors.Refused(f"{version.model} v{version.number} has no digest in the registry.")
        return self.root / adapters.directory_name(version.model, version.number, version.digest)

    def find(self, version: ports.Version) -> Path | None:
        home = self.home(version)
        return home if home in self.installed else None

    def install(self, version: ports.Version, source: Path) -> Path:
        home = self.home(version)
        found = adapters.digest({name: [(source / name).read_bytes()] for name in adapters.REQUIRED_FILES})
        if found != version.digest:
            raise errors.OutsideError("Adapter", str(source), f"its digest is {found[:12]}, not {version.digest[:12]}")
        if home not in self.installed:
            self.installed.append(home)
        return home

    def point(self, slot: str, directory: Path | None) -> None:
        _raise(self.fault)
        self.pointers.pop(slot, None)
        if directory is not None:
            self.pointers[slot] = directory


@dataclass
class FakeMetrics:
    """Series by query text; an unknown query has none, one in `refused` is an error. `clock` is its `now`."""

    address: str = "http://prometheus.test:9090"
    fault: errors.GatewrightError | None = None
    series: dict[str, list[ports.Series]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    clock: datetime = EPOCH

    def is_healthy(self) -> bool:
        return self.fault is None

    def samples(self, selector: str, start: datetime, end: datetime) -> list[ports.Series]:
        return self.range(selector, start, end, 0)

    def now(self) -> datetime:
        _raise(self.fault)
        return self.clock

    def range(
        self,
        query: str,
        start: datetime,
        end: datetime,
        step_seconds: float,  # noqa: ARG002 - the port's signature
    ) -> list[ports.Series]:
        _raise(self.fault)
        if query in self.refused:
            raise errors.OutsideError("Prometheus", self.address, f"cannot read {query!r}")
        return [
            replace(one, points=points)
            for one in self.series.get(query, [])
            if (points := tuple(point for point in one.points if start.timestamp() <= point[0] <= end.timestamp()))
        ]

    def instant(self, query: str, at: datetime) -> list[ports.Series]:
        found = self.range(query, datetime.fromtimestamp(0, UTC), at, 0)
        return [replace(one, points=one.points[-1:]) for one in found]


@dataclass
class FakeJudge:
    """A for the reference answer, C for any other, unless `letters` says otherwise for the row's id."""

    name: str = "fake"
    fault: errors.GatewrightError | None = None
    letters: dict[str, str] = field(default_factory=dict)

    def grade(self, row: datasets.Row, answer: str) -> ports.Grade:
        _raise(self.fault)
        own = "A" if answer.strip().casefold() == row.answer.strip().casefold() else "C"
        letter = self.letters.get(row.id, own)
        return ports.Grade(letter, "scripted" if row.id in self.letters else "compared with the reference")

    def prefer(self, row: datasets.Row, first: str, second: str) -> pairwise.Preference:
        one, two = (self.grade(row, answer).letter for answer in (first, second))
        return pairwise.Preference("TIE" if one == two else "1" if one < two else "2", f"{one} against {two}")


def _raise(fault: errors.GatewrightError | None) -> None:
    if fault is not None:
        raise fault


def _as_table(file: Path) -> bytes:
    """JSONL as columns and rows, as MLflow keeps tables."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    columns = list(rows[0]) if rows else []
    return json.dumps({"columns": columns, "data": [[row[name] for name in columns] for row in rows]}).encode()


def _checked(key: str) -> str:
    if not key or key.startswith("/") or ".." in PurePosixPath(key).parts:
        raise errors.InvalidInput(f"{key!r} is not a key of the object store.", hint="Use a relative path without '..'.")
    return key
