"""One training run as MLflow sees it: parameters, tags, metrics while it trains, the adapter at its end. It decides and trains nothing.

MLflow is spoken to directly, for metrics must appear while the run goes on; its exceptions stop here. An outage ends no training: metrics
wait for the next attempt, and what was trained waits for MLflow to come back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
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

# Metrics wait this long, so that a fast step is not held up by a request each; during an outage ever longer, for an attempt may take 8 s.
_FLUSH_SECONDS = 3.0
_LONGEST_FLUSH_SECONDS = 60.0
# MLflow takes at most a thousand metrics in one request.
_METRICS_PER_REQUEST = 500
# What was trained may have cost hours.
_PATIENCE_SECONDS = 600.0
_ATTEMPT_SECONDS = 5.0

# A dead server must be named within ten seconds. MLflow reads these when it is imported; whoever set one meant it.
_CLIENT_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "8",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


class RunLog:
    """A run that is open inside `with`: finished when the block ends, failed on an error, killed on a signal.

    Args:
        warn: told once about each outage.
        pause: waits so many seconds between two attempts to hand over what was trained.

    Raises:
        Unreachable: MLflow did not answer when the run began, or for minutes at its end.
        OutsideError: MLflow refused.
    """

    def __init__(
        self,
        tracking_uri: str,
        experiment: str,
        name: str,
        parameters: Mapping[str, object],
        tags: Mapping[str, str],
        warn: Callable[[str], None],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._server = _Server(tracking_uri)
        from mlflow import entities

        self._warn = warn
        self._pause = pause
        self._pending: list[entities.Metric] = []
        self._tried_at = time.monotonic()
        self._wait_seconds = _FLUSH_SECONDS
        with self._server.asked() as client:
            self.run_id: str = client.create_run(_experiment_id(client, experiment), tags=dict(tags), run_name=name).info.run_id
            client.log_batch(self.run_id, params=[entities.Param(key, str(value)) for key, value in parameters.items()])

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if kind is None:
            self._patiently(self._flush)
            self._patiently(lambda: self._close("FINISHED"))
        elif not isinstance(error, errors.Unreachable):
            try:
                self._close("FAILED" if issubclass(kind, Exception) else "KILLED")
            except errors.GatewrightError as fault:
                self._warn(f"The run stays open in MLflow. {fault}")

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
        self._patiently(self._flush)

    def adapter(self, directory: Path) -> None:
        def hand_over() -> None:
            with self._server.asked() as client:
                client.log_artifacts(self.run_id, str(directory), ADAPTER_FOLDER)

        self._patiently(hand_over)

    def _add(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow import entities

        now = int(time.time() * 1000)
        self._pending += [entities.Metric(name, value, now, step) for name, value in values.items()]
        if time.monotonic() - self._tried_at > self._wait_seconds:
            self._try_to_flush()

    def _try_to_flush(self) -> None:
        """Later again when MLflow does not answer."""
        try:
            self._flush()
            self._wait_seconds = _FLUSH_SECONDS
        except errors.Unreachable as error:
            if self._wait_seconds == _FLUSH_SECONDS:
                self._warn(f"Training goes on, its metrics wait. {error}")
            self._wait_seconds = min(2 * self._wait_seconds, _LONGEST_FLUSH_SECONDS)
        self._tried_at = time.monotonic()

    def _flush(self) -> None:
        """Safe to repeat: MLflow keeps a metric of the same step, time and value once."""
        while self._pending:
            with self._server.asked() as client:
                client.log_batch(self.run_id, self._pending[:_METRICS_PER_REQUEST])
            del self._pending[:_METRICS_PER_REQUEST]

    def _close(self, status: str) -> None:
        with self._server.asked() as client:
            client.set_terminated(self.run_id, status)

    def _patiently(self, hand_over: Callable[[], None]) -> None:
        deadline, is_told = time.monotonic() + _PATIENCE_SECONDS, False
        while True:
            try:
                return hand_over()
            except errors.Unreachable as error:
                if time.monotonic() >= deadline:
                    raise
                if not is_told:
                    self._warn(f"What was trained waits for MLflow, {_PATIENCE_SECONDS / 60:.0f} min at most. {error}")
                is_told = True
            self._pause(_ATTEMPT_SECONDS)


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
