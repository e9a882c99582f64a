"""The Protocols through which services reach the outside, in our words. Real clients live in `clients`, in-memory fakes in `testing`.

Every method may raise `errors.Unreachable` (temporary) or `errors.OutsideError` (permanent) besides what it names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from controlplane.core import adapters, datasets, fingerprints, journal, judging, lifecycle, pairwise, runs, series


@dataclass(frozen=True)
class Version:
    """One registered adapter. `tags` holds `digest`, `data-version`, `dataset`, `lora-config` and the verdicts' run ids."""

    model: str
    number: int
    run_id: str
    created_at: datetime
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> adapters.Digest:
        return adapters.Digest(self.tags.get("digest", ""))


@dataclass(frozen=True)
class Model:
    name: str
    aliases: Mapping[str, int]
    created_at: datetime
    latest_version: int | None = None


@dataclass(frozen=True)
class LoggedDataset:
    """A dataset that a run used. `source` is its address, `digest` of its text, `columns` maps each name to `string` or `boolean`."""

    name: str
    source: str
    digest: str
    rows: int
    columns: Mapping[str, str]


@dataclass(frozen=True)
class TrackedRun:
    """One MLflow run: what was measured, with what settings."""

    id: str
    name: str
    experiment: str
    status: str
    started_at: datetime
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    dataset: LoggedDataset | None = None


class Registry(Protocol):
    """The model registry (MLflow): which versions exist, which alias points where, their files."""

    def models(self) -> list[Model]: ...

    def model(self, name: str) -> Model:
        """Raises NotFound."""
        ...

    def versions(self, name: str) -> list[Version]:
        """Newest first, aliases filled in. Raises NotFound."""
        ...

    def resolve(self, name: str, source: str) -> Version:
        """The version behind `alias:<alias>` or `version:<number>`. Raises NotFound, InvalidInput."""
        ...

    def register(self, name: str, run_id: str, tags: Mapping[str, str]) -> Version:
        """A new version from the run's artifact `adapter/`; makes the model when it is new."""
        ...

    def download(self, version: Version, directory: Path) -> Path:
        """The adapter's files, copied into `directory` (made when missing). Raises NotFound."""
        ...

    def apply(self, name: str, changes: Sequence[lifecycle.AliasChange]) -> None:
        """Makes the changes one by one, in order; repeating it does no harm."""
        ...

    def tag(self, version: Version, tags: Mapping[str, str]) -> None: ...

    def delete(self, version: Version) -> None:
        """With its aliases, for good. Raises NotFound."""
        ...


class Tracking(Protocol):
    """Runs, metrics and artifacts (MLflow)."""

    def run(self, run_id: str) -> TrackedRun:
        """Raises NotFound."""
        ...

    def search(self, experiment: str, tags: Mapping[str, str], limit: int = 100) -> list[TrackedRun]:
        """Newest first; an experiment that does not exist has no runs."""
        ...

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """(step, value) in step order."""
        ...

    def log(
        self,
        experiment: str,
        name: str,
        *,
        parameters: Mapping[str, str],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        files: Sequence[Path] = (),
        dataset: LoggedDataset | None = None,
        table: Path | None = None,
    ) -> str:
        """A finished run with all this in it; returns its id. `table` is a JSONL file to be shown as a table, beside `files`."""
        ...

    def artifact(self, run_id: str, path: str) -> bytes:
        """Raises NotFound."""
        ...

    def artifacts(self, run_id: str, path: str = "") -> list[tuple[str, int]]:
        """(path, size in bytes; 0 for a folder) of the files below `path`."""
        ...


@dataclass(frozen=True)
class Served:
    """One name a replica answers to. `root` is an adapter's directory, or the base model's; `parent` is empty for the base."""

    name: str
    root: str
    parent: str


@dataclass(frozen=True)
class Answer:
    """One finished answer. Times are seconds since the request was sent; `first_token_seconds` None when nothing came."""

    text: str
    finish_reason: str
    prompt_tokens: int
    answer_tokens: int
    first_token_seconds: float | None
    total_seconds: float


@dataclass(frozen=True)
class Delta:
    """A piece of a streaming answer; the last one carries `answer`."""

    text: str
    answer: Answer | None = None


@dataclass(frozen=True)
class Swap:
    """How a slot came to answer from `root`. `warning` says what clients may have noticed; empty when nothing."""

    root: str
    seconds: float
    warning: str = ""


class Inference(Protocol):
    """One replica (vLLM): what it serves, loading and unloading adapters, answers."""

    address: str

    def is_healthy(self) -> bool: ...

    def served(self) -> list[Served]: ...

    def load(self, slot: str, directory: Path) -> Swap:
        """Makes `slot` answer from `directory`, dropping what it answered from before, and checks that it does."""
        ...

    def unload(self, slot: str) -> None:
        """Safe to repeat: a slot that is not served is left alone."""
        ...

    def fingerprint(self, name: str) -> fingerprints.Fingerprint:
        """What it answers to the fixed prompts. Raises NotFound."""
        ...

    def chat(self, name: str, messages: Sequence[Mapping[str, str]], *, max_tokens: int, temperature: float = 0.0) -> Answer: ...

    def kept_open(self) -> AbstractAsyncContextManager[Inference]:
        """The same replica for streams that follow each other: they share a connection."""
        ...

    def stream(
        self, name: str, messages: Sequence[Mapping[str, str]], *, max_tokens: int, temperature: float = 0.0
    ) -> AsyncIterator[Delta]: ...


class AdapterStore(Protocol):
    """The directory from which replicas read adapters: one immutable home a version."""

    def home(self, version: Version) -> Path:
        """Where the version lives or will live."""
        ...

    def find(self, version: Version) -> Path | None:
        """Its home, when its files are there and whole."""
        ...

    def install(self, version: Version, source: Path) -> Path:
        """Copies the files from `source` to its home, once.

        Raises:
            Refused: no server could or should serve these files; the reason names the file.
            OutsideError: the digest differs. NoSpace.
        """
        ...

    def point(self, slot: str, directory: Path | None) -> None:
        """From now on a replica that looks for `slot` finds it in `directory`; None: nowhere. It changes nothing that is served already."""
        ...


@dataclass(frozen=True)
class JobSpec:
    """A job to start. `key` names it for ever (run/step/attempt): starting the same key twice starts one job."""

    key: str
    module: str
    arguments: tuple[str, ...]
    gpus: int = 0
    timeout_seconds: int = 3600


@dataclass(frozen=True)
class LogLine:
    """One line of a job's log; `number` counts from 1 within the job and is the SSE event id's last part."""

    number: int
    time: str
    level: str
    step: str
    message: str
    fields: Mapping[str, object] = field(default_factory=dict)


class Executor(Protocol):
    """Runs jobs: as local processes, Kubernetes Jobs or Argo Workflows."""

    def start(self, job: JobSpec) -> str:
        """A handle that survives a restart of ours. Raises Conflict when no GPU is free (try again later)."""
        ...

    def status(self, handle: str) -> runs.JobStatus: ...

    def cancel(self, handle: str) -> None:
        """SIGTERM, then SIGKILL after 10 s. Safe to repeat."""
        ...

    def logs(self, handle: str, after: int = 0) -> list[LogLine]:
        """The lines after number `after` that exist now."""
        ...

    def artifact_dir(self, handle: str) -> str:
        """The job's output directory as later jobs will see it."""
        ...


@dataclass(frozen=True)
class Event:
    """One entry of the append-only ledger: who did what to which version, when, from where and why.

    The ledger itself fills in `id` and the two hashes; `previous_hash` is that of the entry before, empty for the first.
    """

    at: datetime
    actor: str
    interface: str
    action: str
    model: str
    version: int | None
    reason: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    id: int = 0
    previous_hash: str = ""
    hash: str = ""

    def entry(self) -> dict[str, object]:
        """What the hash covers."""
        said = {"actor": self.actor, "interface": self.interface, "action": self.action, "reason": self.reason}
        about = {"model": self.model, "version": self.version, "details": dict(self.details)}
        return {"at": self.at.astimezone(UTC).isoformat(), **said, **about}


@dataclass(frozen=True)
class ReplicaProof:
    """One replica within a promotion. `seconds` until it was verified; `fingerprint` says how its answers compare with those recorded."""

    address: str
    state: journal.ReplicaState = journal.ReplicaState.WAITING
    root: str = ""
    seconds: float | None = None
    fingerprint: str = ""
    note: str = ""
    verified_at: datetime | None = None


@dataclass(frozen=True)
class PromotionRecord:
    """One promotion, rollback, adoption of an alias moved elsewhere, or its reversal: the journal's entry.

    `holder` is the process that carries it out; `override` is the rule that was overridden, empty when none was.
    """

    id: str
    model: str
    version: int
    replaces: int | None
    is_rollback: bool
    source_alias: str
    actor: str
    interface: str
    reason: str
    started_at: datetime
    state: journal.State = journal.State.RUNNING
    phase: journal.Phase = journal.Phase.PREPARING
    holder: str = ""
    override: str = ""
    ended_at: datetime | None = None
    digest: str = ""
    replaced_digest: str = ""
    error: str = ""
    replicas: tuple[ReplicaProof, ...] = ()


# More than any review has; a bound, so that one request cannot ask for everything there ever was.
MOST_VOTES = 10_000


class Ledger(Protocol):
    """Decisions that must not be lost (SQL): events, promotions, votes, people's grades."""

    def append(self, event: Event) -> Event:
        """The entry with its id and hashes, linked to the one before it."""
        ...

    def events(self, model: str = "", limit: int = 100) -> list[Event]:
        """Newest first."""
        ...

    def latest(self, model: str, actions: Collection[str], until: datetime | None = None) -> list[Event]:
        """The newest entry of one of these actions, not later than `until`, if there is one."""
        ...

    def chain(self) -> Iterator[Event]:
        """Every entry, oldest first."""
        ...

    def open_promotion(self, record: PromotionRecord) -> PromotionRecord:
        """Raises Conflict naming the holder when one is running for this model."""
        ...

    def save_promotion(self, record: PromotionRecord) -> None:
        """How far a running one has come. Raises Conflict when it has ended."""
        ...

    def close_promotion(self, record: PromotionRecord, event: Event | None = None) -> None:
        """Its end and the ledger's entry about it, together or not at all; repeating it does no harm. Raises Conflict."""
        ...

    def promotions(self, model: str = "", limit: int = 100) -> list[PromotionRecord]:
        """Newest first."""
        ...

    def vote(self, vote: Vote) -> Vote: ...

    def votes(self, model: str, limit: int = MOST_VOTES, *, version: int | None = None, evaluation_run: str = "") -> list[Vote]:
        """Newest first; of one candidate version, or on the rows of one evaluation, where asked."""
        ...

    def correct(self, correction: GradeCorrection) -> GradeCorrection: ...

    def corrections(self, model: str, version: int, evaluation_run: str = "") -> list[GradeCorrection]:
        """Oldest first."""
        ...


@dataclass(frozen=True)
class Vote:
    """A person's choice between two answers: candidate, live, tie or both-bad.

    A vote on a row of an evaluation names the row, the evaluation's MLflow run and the role whose answer stood left; there `withdrawn`
    takes back an earlier vote.
    """

    at: datetime
    actor: str
    model: str
    prompt: str
    candidate_version: int | None
    live_version: int | None
    choice: str
    comment: str = ""
    row_id: str = ""
    evaluation_run: str = ""
    left: str = ""
    id: int = 0


@dataclass(frozen=True)
class GradeCorrection:
    """The grade (A, B or C) that a person says one answer of an evaluation deserves; an empty one takes back an earlier one."""

    at: datetime
    actor: str
    model: str
    version: int
    evaluation_run: str
    row_id: str
    role: str
    grade: str
    id: int = 0


class RunStore(Protocol):
    """Runs and their steps (SQL)."""

    def add(self, run: runs.Run) -> None: ...

    def get(self, run_id: runs.RunId) -> runs.Run:
        """Raises NotFound."""
        ...

    def list(self, *, workflow: str = "", model: str = "", is_active: bool = False, limit: int = 50) -> list[runs.Run]:
        """Newest first."""
        ...

    def save(self, run: runs.Run) -> None:
        """Replaces the run's mutable fields and its steps."""
        ...

    def lease(self, name: str, holder: str, seconds: float) -> AbstractContextManager[bool]:
        """True inside when `holder` holds the lease: one API replica at a time ticks."""
        ...

    def beat(self, holder: str, seconds: float) -> None:
        """This process lives, and will say so again within `seconds`."""
        ...

    def is_beating(self, holder: str) -> bool: ...

    def is_leased(self, name: str) -> bool:
        """Somebody holds the lease, whoever it is."""
        ...


class ObjectStore(Protocol):
    """Files under one root: file:// or s3://."""

    def list(self, prefix: str) -> list[str]: ...

    def read(self, key: str) -> bytes:
        """Raises NotFound."""
        ...

    def write(self, key: str, content: bytes) -> None: ...

    def address(self, key: str) -> str: ...


class Metrics(Protocol):
    """Prometheus, or whatever speaks its HTTP API."""

    address: str

    def is_healthy(self) -> bool: ...

    def range(self, query: str, start: datetime, end: datetime, step_seconds: float) -> list[Series]: ...

    def instant(self, query: str, at: datetime) -> list[Series]: ...

    def samples(self, selector: str, start: datetime, end: datetime) -> list[Series]:
        """The scraped samples themselves, values that are no numbers included. `end` may lie ahead; both on the server's clock."""
        ...

    def now(self) -> datetime:
        """The clock by which its samples are dated."""
        ...


class Judge(Protocol):
    """Grades one answer against its reference, or says which of two is better."""

    @property
    def name(self) -> str: ...

    def grade(self, row: datasets.Row, answer: str) -> Grade: ...

    def prefer(self, row: datasets.Row, first: str, second: str) -> pairwise.Preference:
        """Not in both orders: whoever asks does that."""
        ...


Grade = judging.Grade
Series = series.Series
