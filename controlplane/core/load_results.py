"""What a load test leaves for the gate and for readers: `results.json`, beside the samples in `sample_table`. Values to text and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from controlplane.core import errors, latency, sample_table, witness

SWEEP = "sweep"


@dataclass(frozen=True)
class Slot:
    """What clients call the model, and the directory from which the server answered."""

    name: str
    root: str


@dataclass(frozen=True)
class SweepStep:
    """One load of a sweep: requests in flight, or requests a second where the loop was open. Its clock starts at its own start."""

    load: float
    test: latency.LoadTest


@dataclass(frozen=True)
class LoadResults:
    """A whole load test.

    `settings`: what must be equal where two tests are compared. `environment`: as `serving_environment` reads it. `sent`: requests in
    all, warm-up included. `faults`: why the numbers decide nothing, a sentence each.
    """

    test: latency.LoadTest
    slots: Mapping[str, Slot]
    settings: Mapping[str, str]
    environment: Mapping[str, str]
    seed: int
    sent: int
    witness: witness.Witness
    sweep: tuple[SweepStep, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def samples(self) -> tuple[latency.Sample, ...]:
        """Those of the sweep too; their role is `sweep`, their block the step."""
        steps = (replace(sample, role=SWEEP, block=number) for number, step in enumerate(self.sweep) for sample in step.test.samples)
        return (*self.test.samples, *steps)


def to_json(record: LoadResults) -> str:
    """All but the samples."""
    body = {
        **_test(record.test),
        "slots": {role: asdict(slot) for role, slot in record.slots.items()},
        "settings": dict(record.settings),
        "environment": dict(record.environment),
        "seed": record.seed,
        "sent": record.sent,
        "witness": witness.to_record(record.witness),
        "sweep": [{"load": step.load, **_test(step.test)} for step in record.sweep],
        "faults": list(record.faults),
    }
    return json.dumps(body, indent=2)


def from_files(results: str, samples: bytes) -> LoadResults:
    """A test as `results.json` and `samples.parquet` keep it. Raises InvalidInput."""
    return from_json(results, sample_table.from_parquet(samples))


def from_json(text: str, samples: Sequence[latency.Sample]) -> LoadResults:
    """What `to_json` wrote, with the samples it left out.

    Raises:
        InvalidInput: it is not the result of a load test.
    """
    try:
        body = json.loads(text)
        return LoadResults(
            test=_test_from(body, [sample for sample in samples if sample.role != SWEEP]),
            slots={role: Slot(slot["name"], slot["root"]) for role, slot in body["slots"].items()},
            settings=body["settings"],
            environment=body["environment"],
            seed=body["seed"],
            sent=body["sent"],
            witness=witness.from_record(body["witness"]),
            sweep=tuple(
                SweepStep(step["load"], _test_from(step, [_own(one) for one in samples if (one.role, one.block) == (SWEEP, number)]))
                for number, step in enumerate(body["sweep"])
            ),
            faults=tuple(body["faults"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise errors.InvalidInput(f"This is not the result of a load test: {fault!r}.", hint="Run run_load_test again.") from fault


def _own(sample: latency.Sample) -> latency.Sample:
    """A step of a sweep is one block of the candidate's."""
    return replace(sample, role=latency.CANDIDATE, block=0)


def _test(test: latency.LoadTest) -> dict[str, Any]:
    return {
        "started_at": test.started_at.isoformat(),
        "ended_at": test.ended_at.isoformat(),
        "stopped_by": test.stopped_by,
        "blocks": [asdict(block) for block in test.blocks],
    }


def _test_from(body: Mapping[str, Any], samples: Sequence[latency.Sample]) -> latency.LoadTest:
    return latency.LoadTest(
        samples=tuple(samples),
        blocks=tuple(latency.Block(**block) for block in body["blocks"]),
        started_at=datetime.fromisoformat(body["started_at"]),
        ended_at=datetime.fromisoformat(body["ended_at"]),
        stopped_by=body["stopped_by"],
    )
