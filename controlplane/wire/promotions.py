"""Moves of what is live: plans, progress, proofs, and the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import Field

from controlplane.wire.body import Body


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
