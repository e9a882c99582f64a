"""One training run as MLflow sees it: parameters, tags, metrics while it trains, the adapter at its end. It decides and trains nothing.

MLflow is spoken to directly, for metrics must appear while the run goes on; its exceptions stop here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from controlplane.core import errors
from jobs.training import trainer

if TYPE_CHECKING:
    import mlflow

ADAPTER_FOLDER = "adapter"

# Metrics wait this long, so that a fast step is not held up by a request each.
_FLUSH_SECONDS = 3.0

# A dead server must be named within ten seconds. MLflow reads these when it is imported; whoever set one meant it.
_CLIENT_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "8",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


class RunLog:
    """A run that is open inside `with`: finished when the block ends, failed on an error, killed on a signal.

    Raises:
        Unreachable: MLflow did not answer.
        OutsideError: MLflow refused.
    """

    def __init__(self, tracking_uri: str, experiment: str, name: str, parameters: Mapping[str, object], tags: Mapping[str, str]) -> None:
        self._server = _Server(tracking_uri)
        self._pending: list[tuple[str, float, int]] = []
        self._flushed_at = time.monotonic()
        with self._server.asked() as client:
            self.run_id: str = client.create_run(_experiment_id(client, experiment), tags=dict(tags), run_name=name).info.run_id
            for key, value in parameters.items():
                client.log_param(self.run_id, key, value)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if kind is None:
            self._flush()
        status = "FINISHED" if kind is None else "FAILED" if issubclass(kind, Exception) else "KILLED"
        if not isinstance(error, errors.Unreachable):
            with self._server.asked() as client:
                client.set_terminated(self.run_id, status)

    def step(self, step: trainer.Step) -> None:
        values = {"train_loss": step.loss, "learning_rate": step.learning_rate, "tokens_per_second": step.tokens_per_second}
        self._add(step.number, values)

    def epoch(self, step: int, eval_loss: float) -> None:
        self._add(step, {"eval_loss": eval_loss, "eval_perplexity": trainer.perplexity(eval_loss)})

    def final(self, result: trainer.Result) -> None:
        """The metrics that the quality gate reads."""
        self._add(
            result.steps, {"final_eval_loss": result.eval_loss, "final_perplexity": result.perplexity, "train_seconds": result.seconds}
        )
        self._flush()

    def adapter(self, directory: Path) -> None:
        with self._server.asked() as client:
            client.log_artifacts(self.run_id, str(directory), ADAPTER_FOLDER)

    def _add(self, step: int, values: Mapping[str, float]) -> None:
        self._pending += [(name, value, step) for name, value in values.items()]
        if time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        from mlflow import entities

        now = int(time.time() * 1000)
        with self._server.asked() as client:
            client.log_batch(self.run_id, [entities.Metric(name, value, now, step) for name, value, step in self._pending])
        self._pending.clear()
        self._flushed_at = time.monotonic()


class _Server:
    def __init__(self, tracking_uri: str) -> None:
        if not urlsplit(tracking_uri).hostname:
            raise errors.InvalidInput(
                f"{tracking_uri!r} is not the address of an MLflow server.", hint="Give --mlflow-tracking-uri=http://..."
            )
        for name, value in _CLIENT_SETTINGS.items():
            os.environ.setdefault(name, value)
        import mlflow

        # Whoever reads a log may see the address, but not a password in it.
        self._address = tracking_uri.rpartition("@")[2]
        self._client = mlflow.MlflowClient(tracking_uri)

    @contextmanager
    def asked(self) -> Iterator[mlflow.MlflowClient]:
        import requests
        from mlflow import exceptions

        try:
            yield self._client
        except (exceptions.MlflowException, requests.RequestException) as error:
            reason = str(error).partition("\n")[0][:300]
            if "failed with exception" in reason or isinstance(error, requests.RequestException):
                raise errors.Unreachable("MLflow", self._address, "the connection failed or timed out") from error
            raise errors.OutsideError("MLflow", self._address, reason.rstrip(".")) from error


def _experiment_id(client: mlflow.MlflowClient, name: str) -> str:
    from mlflow import exceptions

    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    try:
        return str(client.create_experiment(name))
    except exceptions.MlflowException as error:
        # Two first runs at once: the other one made it.
        known = client.get_experiment_by_name(name)
        if known is None:
            raise error
        return str(known.experiment_id)
