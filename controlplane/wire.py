"""The bodies of our HTTP API: what a request carries, what an answer holds. Shared by API and typed client; no rule lives here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """A frozen body that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# -- workflows and runs -------------------------------------------------------------------------------------------------------


class Parameter(Body):
    """`default` is the profile's default on this installation."""

    name: str
    default: str
    help: str
    kind: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    is_advanced: bool = False


class StepSpec(Body):
    name: str
    help: str
    needs: tuple[str, ...] = ()


class Workflow(Body):
    """`typical_seconds` is the median of past runs that succeeded, per step; absent where none did."""

    name: str
    title: str
    purpose: str
    ends_in: str
    parameters: tuple[Parameter, ...]
    steps: tuple[StepSpec, ...]
    typical_seconds: Mapping[str, float] = Field(default_factory=dict)


class Launch(Body):
    workflow: str
    parameters: Mapping[str, str] = Field(default_factory=dict)


class Progress(Body):
    """Of one step, from its last progress line; `seconds_left` when it can be known."""

    done: float
    total: float
    message: str = ""
    seconds_left: float | None = None


class Step(Body):
    name: str
    state: str
    help: str = ""
    needs: tuple[str, ...] = ()
    attempt: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    outputs: Mapping[str, str] = Field(default_factory=dict)
    progress: Progress | None = None


class Run(Body):
    """`command` is the command line that launches the same run."""

    id: str
    workflow: str
    title: str
    state: str
    parameters: Mapping[str, str]
    steps: tuple[Step, ...]
    created_at: datetime
    created_by: str = ""
    interface: str = ""
    ended_at: datetime | None = None
    reason: str = ""
    is_cancel_asked: bool = False
    command: str = ""


class RunProgress(Body):
    """`fraction` of the whole run, 0 to 1."""

    run_id: str
    state: str
    step: str
    fraction: float
    message: str = ""
    seconds_left: float | None = None


class LogLine(Body):
    """`id` is what a client sends back as Last-Event-ID: `<step>:<number>`, then the steps beside it; do not take it apart."""

    id: str
    step: str
    number: int
    time: str
    level: str
    message: str
    fields: Mapping[str, object] = Field(default_factory=dict)


# -- models -------------------------------------------------------------------------------------------------------------------


class Version(Body):
    """`stage` is the furthest place on the track.

    One of archived, registered, candidate, staged, eval-passed, eval-failed, perf-passed, perf-failed, live, previous.
    """

    model: str
    number: int
    run_id: str
    created_at: datetime
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    digest: str
    stage: str
    is_protected: bool = False
    is_archived: bool = False
    metrics: Mapping[str, float] = Field(default_factory=dict)


class Model(Body):
    name: str
    aliases: Mapping[str, int]
    created_at: datetime
    live: int | None = None
    candidate: int | None = None
    latest_version: int | None = None


class File(Body):
    path: str
    size_bytes: int


class VersionDetail(Body):
    """`curves` maps a metric to its (step, value) points of the training run."""

    version: Version
    parameters: Mapping[str, str]
    files: tuple[File, ...]
    curves: Mapping[str, tuple[tuple[int, float], ...]]
    promotions: tuple[Promotion, ...] = ()


class Interval(Body):
    low: float
    high: float
    level: float


class Check(Body):
    """`unit` `%` means that value and limit are fractions of one. `margin` is positive on the passing side."""

    name: str
    value: float | None
    comparison: str
    limit: float
    unit: str
    outcome: str
    against: str
    margin: float | None = None
    interval: Interval | None = None


class Verdict(Body):
    gate: str
    rules: str
    outcome: str
    reason: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()


class GradedAnswer(Body):
    """One eval row as one role answered it. `grade` is A, B, C or empty (unscored).

    `votes`: one letter a judge when several graded. `is_judged` is false where judging ended before its turn: the verdict stood.
    """

    id: str
    role: str
    question: str
    context: str
    reference: str
    answerable: bool
    answer: str
    grade: str
    reason: str
    is_refusal: bool
    latency_seconds: float | None = None
    votes: str = ""
    is_judged: bool = True


class ComparedRow(Body):
    """Which answer to one eval row is better: `candidate`, `live` or `tie`, asked in both orders; empty when it could not be read.

    `winner` is a tie where the orders disagree. Lengths are in characters.
    """

    id: str
    candidate_first: str
    live_first: str
    winner: str
    reason: str
    candidate_length: int
    live_length: int


class Pairwise(Body):
    """All comparisons together; rates are fractions of one. `net` is wins less losses over all rows that could be read.

    `asked` of the rows a judge was asked about (equal answers tie unasked), `consistency`: of those both orders agreed; `first_share`: who
    stood first was preferred, where they did not. `mean_length_difference`: candidate minus live; `winner_excess`: winner minus loser; both
    in characters. `cautions` say what to bear in mind.
    """

    rows: int
    wins: int
    losses: int
    ties: int
    unread: int
    net: float | None
    interval: Interval | None
    asked: int
    consistency: float | None
    first_share: float | None
    mean_length_difference: float | None
    winner_excess: float | None
    cautions: tuple[str, ...] = ()


class Difference(Body):
    """Candidate minus live. `reading` is pointwise or pairwise; `decides`: the check is part of the verdict."""

    check: Check
    reading: str
    decides: bool


class JudgeTrust(Body):
    """The judge's agreement with `rows` trusted grades, measured before it graded. `refusal` says why its grades do not count."""

    judge: str
    rows: int
    kappa: float | None
    interval: Interval | None
    min_kappa: float
    refusal: str
    warnings: tuple[str, ...] = ()


class JudgesAgreement(Body):
    """Of several judges. `observed`: share of pairs of judges with the same grade; `kappa`: beyond chance."""

    judges: int
    observed: float
    kappa: float | None


class EvalData(Body):
    """The eval set that was asked. `columns` maps each name to its type."""

    name: str
    source: str
    digest: str
    rows: int
    columns: Mapping[str, str]


class OtherVerdict(Body):
    """What another reading (Gate 1) or rule set would have said."""

    reading: str
    rules: str
    outcome: str
    reason: str
    checks: tuple[Check, ...] = ()


class Evaluation(Body):
    """Gate 1 of one version. Of `asked` eval rows the judge saw `judged` before the verdict stood.

    An evaluation by an older version of Gatewright, or without live, lacks what is empty or None.
    """

    model: str
    version: int
    mlflow_run: str
    at: datetime
    judge: str
    verdict: Verdict
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    rows: tuple[GradedAnswer, ...]
    asked: int = 0
    judged: int = 0
    reading: str = "pointwise"
    others: tuple[OtherVerdict, ...] = ()
    differences: tuple[Difference, ...] = ()
    comparisons: tuple[ComparedRow, ...] = ()
    pairwise: Pairwise | None = None
    trust: JudgeTrust | None = None
    agreement: JudgesAgreement | None = None
    dataset: EvalData | None = None
    judge_identity: str = ""
    judge_prompt_digest: str = ""


class Sample(Body):
    """One request of a load test. `at_seconds`: when it was due, since the test's start, and from there every other time counts.

    `delay_seconds`: how much later it left. `gap_seconds`: mean time between tokens. `error`: empty when it succeeded. `is_counted`: not a
    warm-up, not the ramp.
    """

    at_seconds: float
    first_token_seconds: float | None
    total_seconds: float
    answer_tokens: int
    error: str = ""
    row_id: str = ""
    block: int = 0
    is_counted: bool = True
    delay_seconds: float = 0.0
    gap_seconds: float | None = None


class LoadBlock(Body):
    """A stretch of a test in which one side's slot was under load; times since the test's start. Throughput counts while it was steady."""

    number: int
    role: str
    steady_from_seconds: float
    steady_until_seconds: float
    ended_seconds: float


class Measure(Body):
    """One value of one side with its interval, such as `p95_latency_seconds`; `unit` as in `Check`."""

    name: str
    role: str
    unit: str
    value: float | None
    interval: Interval | None = None


class LoadPoint(Body):
    """One step of a sweep over loads. `load`: requests in flight, or requests a second where the loop is open."""

    load: float
    requests: int
    throughput: float | None
    p50_latency_seconds: float | None
    p95_latency_seconds: float | None
    p95_ttft_seconds: float | None
    success_rate: float | None
    goodput: float | None


class QuantileBounds(Body):
    """A quantile off a histogram: surely between `low` and `high` (None: open above); `interpolated` is what `histogram_quantile` says."""

    low: float
    high: float | None
    interpolated: float


class Witness(Body):
    """What the server itself counted in the test's time. `agreement`: agrees, contaminated, missing or unknown; `sent`: by the test."""

    source: str
    agreement: str
    sent: int
    finished: float | None
    quantiles: Mapping[str, QuantileBounds]
    values: Mapping[str, float]
    notes: tuple[str, ...] = ()


class Performance(Body):
    """Gate 2 of one version, beside its baseline when there was one.

    `load`: in words, such as `10 requests in flight`. `baseline`: `alternated` (live was loaded in the same test, turn by turn), `stored`
    (an earlier test of live; its clock is its own) or `none`.
    """

    model: str
    version: int
    mlflow_run: str
    at: datetime
    ended_at: datetime
    verdict: Verdict
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    samples: tuple[Sample, ...]
    baseline: str = "none"
    baseline_version: int | None = None
    baseline_run: str = ""
    baseline_samples: tuple[Sample, ...] = ()
    others: tuple[OtherVerdict, ...] = ()
    load: str = ""
    measures: tuple[Measure, ...] = ()
    blocks: tuple[LoadBlock, ...] = ()
    sweep: tuple[LoadPoint, ...] = ()
    witness: Witness | None = None
    environment: Mapping[str, str] = {}
    dataset: EvalData | None = None


class KindAgreement(Body):
    """Of `rows` answers of this kind the judge graded `agreed` as they should be."""

    kind: str
    rows: int
    agreed: int


class Disagreement(Body):
    """A row that the judge graded otherwise than it should; `given` is A, B, C or empty (unscored), `reason` the judge's own."""

    id: str
    kind: str
    source: str
    question: str
    context: str
    reference: str
    answer: str
    grade: str
    given: str
    reason: str


class Calibration(Body):
    """A judge's agreement with trusted grades. `refusal` says why its grades do not count, empty when they do; `kappa` None: undefined.

    `warnings` name the kinds of answers that it mostly grades wrong, whatever its kappa.
    `confusion` maps the trusted grade to the given one (A, B, C, unscored) to a count. `at` is None while it is not recorded.
    """

    judge: str
    rows: int
    unscored: int
    agreement: float
    kappa: float | None
    interval: Interval | None
    min_kappa: float
    refusal: str
    confusion: Mapping[str, Mapping[str, int]]
    kinds: tuple[KindAgreement, ...]
    disagreements: tuple[Disagreement, ...]
    warnings: tuple[str, ...] = ()
    identity: str = ""
    golden_digest: str = ""
    prompt_digest: str = ""
    mlflow_run: str = ""
    at: datetime | None = None


# -- promotion ----------------------------------------------------------------------------------------------------------------


class AliasMove(Body):
    alias: str
    before: int | None
    after: int | None


class Evidence(Body):
    """One item of the checklist; `outcome` missing when the gate was never run for this version."""

    gate: str
    title: str
    outcome: Literal["pass", "fail", "inconclusive", "error", "missing"]
    reason: str
    mlflow_run: str = ""


class Plan(Body):
    """What a promotion would change, or why it is refused. `holder` names a promotion that is running now."""

    model: str
    source_alias: str
    is_rollback: bool
    version: int | None
    replaces: int | None
    moves: tuple[AliasMove, ...]
    evidence: tuple[Evidence, ...]
    refusal: str = ""
    override: str = ""
    holder: str = ""
    replicas: tuple[str, ...] = ()
    drift: tuple[AliasDrift, ...] = ()


class Promote(Body):
    """`override` goes past the promotion policy; it needs a reason, and the ledger shows it in bold.

    `expected_live` is the version the caller saw live, 0 for none: when another one is by now, the answer is a conflict.
    """

    source_alias: str = "perf-passed"
    reason: str = ""
    override: bool = False
    expected_live: int | None = Field(None, ge=0)


class Reasoned(Body):
    reason: str = ""


class Rollback(Body):
    """`expected_live` as in a promotion."""

    reason: str = ""
    expected_live: int | None = Field(None, ge=0)


class ReplicaProof(Body):
    """One replica within a promotion. `state` is waiting, swapping, verified, failed or put back; `fingerprint` equal, close or unknown."""

    address: str
    state: str
    root: str = ""
    seconds: float | None = None
    fingerprint: str = ""
    note: str = ""
    verified_at: datetime | None = None


class Promotion(Body):
    """`state` is running, done, degraded or failed; `phase` how far a running one is; `override` the rule it went past."""

    id: str
    model: str
    version: int
    replaces: int | None
    is_rollback: bool
    source_alias: str
    actor: str
    interface: str
    reason: str
    state: str
    started_at: datetime
    ended_at: datetime | None = None
    phase: str = ""
    digest: str = ""
    replaced_digest: str = ""
    override: str = ""
    error: str = ""
    replicas: tuple[ReplicaProof, ...] = ()


class Event(Body):
    id: int
    at: datetime
    actor: str
    interface: str
    action: str
    model: str
    version: int | None
    reason: str = ""
    details: Mapping[str, str] = Field(default_factory=dict)
    hash: str = ""


class Settle(Body):
    """What to do about an alias that was moved outside Gatewright."""

    action: Literal["adopt", "revert"]
    reason: str = ""


class AliasDrift(Body):
    """An alias that does not point where the last decision put it; None: not set."""

    model: str
    alias: str
    decided: int | None
    found: int | None


class Audit(Body):
    """`faults` is empty when the ledger is whole and the registry agrees with it; `head` is the newest entry's hash, to keep elsewhere."""

    entries: int
    models: int
    head: str
    faults: tuple[str, ...] = ()


# -- serving, comparison ------------------------------------------------------------------------------------------------------


class SlotState(Body):
    """`state`: agrees (serves the wanted version), drift (another or none), idle (nothing is wanted and nothing served)."""

    name: str
    model: str
    alias: str
    wanted_version: int | None
    wanted_root: str
    served_root: str
    state: str


class Replica(Body):
    address: str
    is_healthy: bool
    detail: str = ""
    served: tuple[str, ...] = ()
    slots: tuple[SlotState, ...] = ()


class OverviewModel(Body):
    """`headline` answers in words what is live and what waits."""

    name: str
    live: Version | None
    previous: Version | None
    candidate: Version | None
    headline: str
    next_step: str


class Overview(Body):
    headline: str
    models: tuple[OverviewModel, ...]
    replicas: tuple[Replica, ...]
    active_runs: tuple[Run, ...]
    events: tuple[Event, ...]
    problems: tuple[str, ...] = ()


class Comparison(Body):
    """Ask candidate and live the same question. `dataset_row` draws question and context from the eval set instead."""

    model: str
    question: str
    context: str = ""
    max_tokens: int = Field(default=48, ge=1, le=1024)


class ComparisonEvent(Body):
    """A piece of one side's answer; the last of a side has `is_last` and its measures. `error` ends a side too."""

    side: Literal["candidate", "live"]
    text: str = ""
    is_last: bool = False
    version: int | None = None
    first_token_seconds: float | None = None
    total_seconds: float | None = None
    answer_tokens: int | None = None
    error: str = ""


class JudgeRequest(Body):
    """Judge on demand; `reference` is the right answer when it is known."""

    question: str
    context: str
    reference: str
    answerable: bool = True
    answers: Mapping[str, str]


class JudgeAnswer(Body):
    """`grades` maps a side to (grade, reason)."""

    judge: str
    grades: Mapping[str, tuple[str, str]]


class Vote(Body):
    """Between two answers to a prompt, or to a row of the evaluation `evaluation_run` of `candidate_version` (empty: the one of now).

    `left` is the role whose answer stood left. `withdrawn` takes back the same person's vote on the same row.
    """

    model: str
    prompt: str = ""
    choice: Literal["candidate", "live", "tie", "both-bad", "withdrawn"]
    candidate_version: int | None = None
    live_version: int | None = None
    comment: str = Field(default="", max_length=500)
    row_id: str = ""
    evaluation_run: str = ""
    left: Literal["candidate", "live", ""] = ""


class VoteRecord(Body):
    id: int
    at: datetime
    actor: str
    vote: Vote


# -- people's reviews of an evaluation ----------------------------------------------------------------------------------------


class GradeCorrection(Body):
    """The grade that one role's answer to a row deserves; an empty one takes back an earlier one. `evaluation_run`: as in `Vote`."""

    row_id: str
    role: Literal["candidate", "live"]
    grade: Literal["A", "B", "C", ""]
    evaluation_run: str = ""


class GradeRecord(Body):
    """As it counts now: one a person and answer."""

    at: datetime
    actor: str
    correction: GradeCorrection


class Preference(Body):
    """Rows by what most of their voters chose; `net` is candidate minus live as a fraction of one."""

    rows: int
    candidate: int
    live: int
    tie: int
    both_bad: int
    net: float | None
    interval: Interval | None


class Agreement(Body):
    """`items` rated by two or more; the share of agreeing pairs, and Krippendorff's alpha where it is known."""

    items: int
    observed: float | None
    alpha: float | None


class Review(Body):
    """What people say about the evaluation of one version. `rows` have both sides' answers; `different` of them differ."""

    model: str
    version: int
    mlflow_run: str
    judge: str
    rows: int
    different: int
    reviewers: tuple[str, ...]
    preference: Preference
    between_people: Agreement
    people_and_judge: Agreement
    grades: int
    grades_and_judge: Agreement
    golden_rows: int


class ExportedVote(Body):
    """A vote as it leaves the house. It `counts` unless the same person changed or withdrew it later; answers are empty when not known."""

    id: int
    at: datetime
    actor: str
    model: str
    candidate_version: int | None
    live_version: int | None
    choice: str
    counts: bool
    left: str
    comment: str
    evaluation_run: str
    row_id: str
    prompt: str
    context: str = ""
    reference: str = ""
    candidate_answer: str = ""
    live_answer: str = ""


class GoldenRow(Body):
    """An answer whose right grade people agree on; `source` names them."""

    id: str
    question: str
    context: str
    reference: str
    answerable: bool
    answer: str
    grade: Literal["A", "B", "C"]
    kind: Literal["reviewed"] = "reviewed"
    source: str


# -- datasets, health, metrics ------------------------------------------------------------------------------------------------


class Split(Body):
    name: str
    rows: int
    answerable: int
    digest: str


class Dataset(Body):
    """`id` is `<name>-v<version>`."""

    id: str
    name: str
    version: int
    splits: tuple[Split, ...]
    used_by: tuple[str, ...] = ()


class DatasetRow(Body):
    id: str
    question: str
    context: str
    answer: str
    answerable: bool


class Preview(Body):
    id: str
    split: str
    total: int
    rows: tuple[DatasetRow, ...]


class System(Body):
    """One outside system; `hint` says how to mend it when it is not well."""

    name: str
    address: str
    is_well: bool
    latency_seconds: float | None = None
    version: str = ""
    detail: str = ""
    hint: str = ""


class Health(Body):
    is_well: bool
    version: str
    profile: str
    executor: str
    systems: tuple[System, ...]


class Series(Body):
    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class Problem(BaseModel):
    """RFC 9457 problem document. `system` and `address` name the outside system that is at fault, where one is."""

    type: str
    title: str
    status: int
    detail: str
    hint: str = ""
    request_id: str = ""
    system: str = ""
    address: str = ""


VersionDetail.model_rebuild()
