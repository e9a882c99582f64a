"""What was measured of each judge, read back from MLflow. Measures and decides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from controlplane import ports, wire
from controlplane.core import errors

EXPERIMENT = "vllm-lora-judge"
FILE = "calibration.json"

_Body = TypeVar("_Body", bound=wire.Body)


@dataclass(frozen=True)
class Calibrations:
    tracking: ports.Tracking

    def newest(self) -> list[wire.Calibration]:
        """The newest of each judge, newest first; a run that was cut off before its end is passed over."""
        found: dict[str, ports.TrackedRun] = {}
        for run in self.tracking.search(EXPERIMENT, {}):
            if run.status == "FINISHED":
                found.setdefault(run.tags.get("judge", ""), run)
        return [self._read(run) for run in found.values()]

    def _read(self, run: ports.TrackedRun) -> wire.Calibration:
        try:
            return shown({**json.loads(self.tracking.artifact(run.id, FILE)), "mlflow_run": run.id, "at": run.started_at})
        except (KeyError, TypeError, ValueError) as fault:
            hint = "Run `gatewright judge calibrate` again."
            raise errors.OutsideError("MLflow", f"run {run.id}", f"its {FILE} cannot be read", hint=hint) from fault


def shown(value: Mapping[str, Any]) -> wire.Calibration:
    """What `calibration.json` holds; fields that the body does not have are left out.

    Raises:
        KeyError, TypeError, ValueError: it is no calibration.
    """
    disagreements = tuple(
        _known(wire.Disagreement, {**one["row"], "given": one["given"], "reason": one["reason"]}) for one in value["disagreements"]
    )
    kinds = tuple(_known(wire.KindAgreement, kind) for kind in value["kinds"])
    return _known(wire.Calibration, {**value, "disagreements": disagreements, "kinds": kinds})


def _known(body: type[_Body], value: Mapping[str, Any]) -> _Body:
    return body.model_validate({name: value[name] for name in body.model_fields if name in value})
