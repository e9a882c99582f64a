"""MLflow: the registry's versions and aliases, and tracked runs with their artifacts. No other module of the control plane imports mlflow.

mlflow is imported when a client is built, not with this module: it takes two seconds and reads its environment on the way in.
"""

from __future__ import annotations

import errno
import functools
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from urllib.parse import urlsplit, urlunsplit

from controlplane import ports
from controlplane.core import adapters, errors, lifecycle

if TYPE_CHECKING:
    import mlflow
    from mlflow import entities
    from mlflow.entities import model_registry
    from mlflow.store.entities import PagedList

T = TypeVar("T")
P = ParamSpec("P")

ANSWER_SECONDS = 8
VERSIONS_PER_PAGE = 10_000
ADAPTER_FOLDER = "adapter"
_LONGEST_DIGEST = 36
_TABLES_TAG = "mlflow.loggedArtifacts"  # where MLflow's own pages look for tables to show


def _repeatable(ask: Callable[P, T]) -> Callable[P, T]:
    """Asked once more when the connection was cut: a server closes one that was idle, MLflow's own after five seconds, and a request may
    meet that. Only for what is safe to ask twice.
    """

    @functools.wraps(ask)
    def asked(*args: P.args, **options: P.kwargs) -> T:
        try:
            return ask(*args, **options)
        except errors.Unreachable as error:
            if not _was_cut(error):
                raise
            return ask(*args, **options)

    return asked


class MlflowRegistry:
    """The model registry behind `tracking_uri`.

    Args:
        answer_seconds: whole seconds until a silent server counts as unreachable; MLflow keeps one value per process, so the first client
            built decides, unless MLFLOW_HTTP_REQUEST_TIMEOUT is set.
    """

    def __init__(self, tracking_uri: str, *, answer_seconds: int = ANSWER_SECONDS) -> None:
        self._server = _Server(tracking_uri, answer_seconds)

    @_repeatable
    def models(self) -> list[ports.Model]:
        """By name; one whose name cannot stand in a path or slot is not ours and left out."""
        with self._server.asked("models") as client:
            found = list(_pages(lambda token: client.search_registered_models(max_results=1000, order_by=["name ASC"], page_token=token)))
        return [_model(model) for model in found if adapters.MODEL_NAME.fullmatch(model.name)]

    @_repeatable
    def model(self, name: str) -> ports.Model:
        with self._server.asked(f"model {name!r}") as client:
            return _model(client.get_registered_model(adapters.check_model_name(name)))

    @_repeatable
    def versions(self, name: str) -> list[ports.Version]:
        """Two requests however many versions there are: MLflow's search leaves the aliases out, the model has them all."""
        aliases = self.model(name).aliases
        query = f"name='{name}'"
        with self._server.asked(f"model {name!r}") as client:
            found = _pages(lambda token: client.search_model_versions(query, VERSIONS_PER_PAGE, ["version_number DESC"], page_token=token))
            return [_version(version, aliases) for version in found]

    @_repeatable
    def resolve(self, name: str, source: str) -> ports.Version:
        kind, _, value = source.partition(":")
        if not (kind == "version" and value.isdecimal()) and not (kind == "alias" and value):
            raise errors.InvalidInput(f"{source!r} names no version.", hint="Write alias:<alias> or version:<number>.")
        number = value if kind == "version" else str(self._carrying(name, value))
        with self._server.asked(f"version {number} of model {name!r}") as client:
            found = client.get_model_version(adapters.check_model_name(name), number)
        return _version(found, dict.fromkeys(found.aliases, int(found.version)))

    def register(self, name: str, run_id: str, tags: Mapping[str, str]) -> ports.Version:
        adapters.check_model_name(name)
        self._require_adapter(run_id)
        self._create_model(name)
        with self._server.asked(f"run {run_id!r}") as client:
            made = client.create_model_version(name, f"runs:/{run_id}/{ADAPTER_FOLDER}", run_id, tags=dict(tags), await_creation_for=0)
        return _version(made, {})

    def download(self, version: ports.Version, directory: Path) -> Path:
        self._require_adapter(version.run_id)
        with _disk(directory):
            directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as temporary:
            for name in adapters.REQUIRED_FILES:
                self._server.download(version.run_id, f"{ADAPTER_FOLDER}/{name}", Path(temporary)).replace(directory / name)
        return directory

    @_repeatable
    def apply(self, name: str, changes: Sequence[lifecycle.AliasChange]) -> None:
        for change in changes:
            with self._server.asked(f"version {change.version} of model {name!r}") as client:
                if change.version is None:
                    client.delete_registered_model_alias(name, str(change.alias))
                else:
                    client.set_registered_model_alias(name, str(change.alias), str(change.version))

    @_repeatable
    def tag(self, version: ports.Version, tags: Mapping[str, str]) -> None:
        with self._server.asked(f"version {version.number} of model {version.model!r}") as client:
            for key, value in tags.items():
                client.set_model_version_tag(version.model, str(version.number), key, value)

    def delete(self, version: ports.Version) -> None:
        with self._server.asked(f"version {version.number} of model {version.model!r}") as client:
            client.delete_model_version(version.model, str(version.number))

    def _carrying(self, name: str, alias: str) -> int:
        aliases = self.model(name).aliases
        if alias not in aliases:
            raise errors.NotFound(f"No version of {name} carries the alias {alias!r}.", hint=f"Set are: {', '.join(aliases) or 'none'}.")
        return aliases[alias]

    @_repeatable
    def _require_adapter(self, run_id: str) -> None:
        with self._server.asked(f"run {run_id!r}") as client:
            names = {Path(file.path).name for file in client.list_artifacts(run_id, ADAPTER_FOLDER)}
        missing = [name for name in adapters.REQUIRED_FILES if name not in names]
        if missing:
            raise errors.NotFound(f"MLflow run {run_id} has no {' and no '.join(missing)} in its artifact folder {ADAPTER_FOLDER!r}.")

    def _create_model(self, name: str) -> None:
        from mlflow import exceptions

        with self._server.asked(f"model {name!r}") as client:
            try:
                client.create_registered_model(name)
            except exceptions.MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise


class MlflowTracking:
    """Runs, metrics and artifacts behind `tracking_uri`."""

    def __init__(self, tracking_uri: str, *, answer_seconds: int = ANSWER_SECONDS) -> None:
        self._server = _Server(tracking_uri, answer_seconds)
        self._experiments: dict[str, str] = {}

    @_repeatable
    def run(self, run_id: str) -> ports.TrackedRun:
        with self._server.asked(f"run {run_id!r}") as client:
            run = client.get_run(run_id)
            number = run.info.experiment_id
            if number not in self._experiments:
                self._experiments[number] = client.get_experiment(number).name
        return _run(run, self._experiments[number])

    @_repeatable
    def search(self, experiment: str, tags: Mapping[str, str], limit: int = 100) -> list[ports.TrackedRun]:
        query = " and ".join(f"tags.`{key}` = {_quoted(value)}" for key, value in tags.items())
        with self._server.asked(f"experiment {experiment!r}") as client:
            known = client.get_experiment_by_name(experiment)
            if known is None:
                return []
            found = client.search_runs([known.experiment_id], query, max_results=limit, order_by=["attributes.start_time DESC"])
        return [_run(run, experiment) for run in found]

    @_repeatable
    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        with self._server.asked(f"run {run_id!r}") as client:
            points = client.get_metric_history(run_id, metric)
        return [(point.step, point.value) for point in sorted(points, key=lambda point: (point.step, point.timestamp))]

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
        """A folder among `files` keeps its name. The run is marked finished only when all of it is in."""
        from mlflow import entities

        now = int(datetime.now(UTC).timestamp() * 1000)
        experiment_id = self._experiment_id(experiment)
        with self._server.asked(f"experiment {experiment!r}") as client:
            run_id: str = client.create_run(experiment_id, tags=dict(tags), run_name=name).info.run_id
            client.log_batch(
                run_id,
                [entities.Metric(key, value, now, 0) for key, value in metrics.items()],
                [entities.Param(key, value) for key, value in parameters.items()],
            )
            for path in files:
                if path.is_dir():
                    client.log_artifacts(run_id, str(path), path.name)
                else:
                    client.log_artifact(run_id, str(path))
            if dataset is not None:
                client.log_inputs(run_id, datasets=[_dataset_input(dataset)])
            if table is not None:
                client.log_dict(run_id, _as_table(table), f"{table.stem}.json")
                client.set_tag(run_id, _TABLES_TAG, json.dumps([{"path": f"{table.stem}.json", "type": "table"}]))
            client.set_terminated(run_id)
        return run_id

    def artifact(self, run_id: str, path: str) -> bytes:
        with tempfile.TemporaryDirectory() as temporary:
            if path not in (name for name, _ in self.artifacts(run_id, str(Path(path).parent) if "/" in path else "")):
                raise errors.NotFound(f"MLflow run {run_id} has no artifact {path!r}.")
            file = self._server.download(run_id, path, Path(temporary))
            if file.is_dir():
                raise errors.NotFound(f"Artifact {path!r} of MLflow run {run_id} is a folder.", hint="Name one file in it.")
            return file.read_bytes()

    @_repeatable
    def artifacts(self, run_id: str, path: str = "") -> list[tuple[str, int]]:
        with self._server.asked(f"run {run_id!r}") as client:
            return sorted((file.path, file.file_size or 0) for file in client.list_artifacts(run_id, path or None))

    @_repeatable
    def _experiment_id(self, name: str) -> str:
        from mlflow import exceptions

        with self._server.asked(f"experiment {name!r}") as client:
            known = client.get_experiment_by_name(name)
            if known is not None:
                return known.experiment_id
            try:
                return client.create_experiment(name)
            except exceptions.MlflowException:
                # Somebody else may have made it meanwhile.
                made = client.get_experiment_by_name(name)
                if made is None:
                    raise
                return made.experiment_id


class _Server:
    """One MLflow server: its client, and its exceptions turned into ours."""

    def __init__(self, tracking_uri: str, answer_seconds: int) -> None:
        address = urlsplit(tracking_uri)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise errors.InvalidInput(
                f"{tracking_uri!r} is not the address of an MLflow server.", hint="Set it like http://127.0.0.1:5000."
            )
        # Whoever holds the address may see it, but its password has no business in a message.
        self.address = urlunsplit(address._replace(netloc=address.netloc.rpartition("@")[2]))
        self._client = _client(tracking_uri, answer_seconds)

    @contextmanager
    def asked(self, what: str) -> Iterator[mlflow.MlflowClient]:
        """The client; errors inside become ours, a missing thing is called `what`."""
        import requests
        from mlflow import exceptions

        try:
            yield self._client
        except (exceptions.MlflowException, requests.RequestException) as error:
            raise self._ours(error, what) from error

    @_repeatable
    def download(self, run_id: str, path: str, directory: Path) -> Path:
        with self.asked(f"artifact {path!r} of run {run_id!r}") as client, _disk(directory):
            return Path(client.download_artifacts(run_id, path, str(directory)))

    def _ours(self, error: Exception, what: str) -> errors.GatewrightError:
        import requests
        import urllib3
        from mlflow import exceptions

        causes = list(_causes(error))
        if any(isinstance(cause, OSError) and cause.errno == errno.ENOSPC for cause in causes):
            return errors.NoSpace("The disk is full.", hint="Free some space and try again.")
        if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
            return errors.NotFound(f"MLflow at {self.address} has no {what}.")
        answered = [cause.response for cause in causes if isinstance(cause, requests.HTTPError) and cause.response is not None]
        if answered and answered[0].status_code == 404:
            return errors.NotFound(f"MLflow at {self.address} has no {what}.")
        if any(isinstance(cause, (requests.Timeout, urllib3.exceptions.TimeoutError)) for cause in causes):
            return errors.Unreachable("MLflow", self.address, "no answer in time")
        if not answered and any(isinstance(cause, requests.RequestException) for cause in causes):
            return errors.Unreachable("MLflow", self.address, "the connection failed")
        reason = error.message if isinstance(error, exceptions.MlflowException) else str(error)
        return errors.OutsideError("MLflow", self.address, reason.strip().partition("\n")[0][:300].rstrip("."))


def _client(tracking_uri: str, answer_seconds: int) -> mlflow.MlflowClient:
    # MLflow's own defaults try for minutes; ours name a dead server within ten seconds. Whoever set a variable meant it.
    for name, value in {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(answer_seconds),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }.items():
        os.environ.setdefault(name, value)
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return mlflow.MlflowClient(tracking_uri, tracking_uri)


def _model(model: model_registry.RegisteredModel) -> ports.Model:
    aliases = {alias: int(version) for alias, version in sorted(model.aliases.items())}
    latest = max((int(version.version) for version in model.latest_versions or []), default=None)
    return ports.Model(model.name, aliases, _time(model.creation_timestamp), latest)


def _version(version: model_registry.ModelVersion, aliases: Mapping[str, int]) -> ports.Version:
    number = int(version.version)
    mine = tuple(alias for alias, owner in aliases.items() if owner == number)
    return ports.Version(version.name, number, version.run_id or "", _time(version.creation_timestamp), mine, dict(version.tags))


def _run(run: entities.Run, experiment: str) -> ports.TrackedRun:
    info, data = run.info, run.data
    started = _time(info.start_time)
    return ports.TrackedRun(
        info.run_id,
        info.run_name or "",
        experiment,
        info.status,
        started,
        dict(data.metrics),
        dict(data.params),
        dict(data.tags),
        _dataset(run),
    )


def _dataset_input(dataset: ports.LoggedDataset) -> entities.DatasetInput:
    """In the form of MLflow's own data sources, so that its pages show it."""
    from mlflow import entities

    columns = [{"name": name, "type": kind, "required": True} for name, kind in dataset.columns.items()]
    logged = entities.Dataset(
        name=dataset.name,
        digest=dataset.digest[:_LONGEST_DIGEST],
        source_type="s3" if dataset.source.startswith("s3://") else "local",
        source=json.dumps({"uri": dataset.source, "sha256": dataset.digest}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": dataset.rows}),
    )
    return entities.DatasetInput(logged, [entities.InputTag("mlflow.data.context", "eval")])


def _dataset(run: entities.Run) -> ports.LoggedDataset | None:
    """The first that we logged; other programs' data sources are theirs."""
    for one in run.inputs.dataset_inputs if run.inputs else ():
        source = json.loads(one.dataset.source)
        if "sha256" in source:
            columns = {column["name"]: column["type"] for column in json.loads(one.dataset.schema or "")["mlflow_colspec"]}
            rows = json.loads(one.dataset.profile or "")["num_rows"]
            return ports.LoggedDataset(one.dataset.name, source["uri"], source["sha256"], rows, columns)
    return None


def _as_table(file: Path) -> dict[str, list[object]]:
    """JSONL in the form of MLflow's tables. Not by its `log_table`, which takes the way through pandas and warns there."""
    with file.open(encoding="utf-8", newline="\n") as lines:
        rows = [json.loads(line) for line in lines]
    columns = list(rows[0]) if rows else []
    return {"columns": columns, "data": [[row[name] for name in columns] for row in rows]}


def _time(milliseconds: int | None) -> datetime:
    return datetime.fromtimestamp((milliseconds or 0) / 1000, UTC)


def _quoted(value: str) -> str:
    """MLflow's filters know no escapes, but two kinds of quotes."""
    quote = next((quote for quote in "'\"" if quote not in value), None)
    if quote is None:
        raise errors.InvalidInput(f"Runs cannot be searched for {value!r}.", hint="Use one kind of quotation mark only.")
    return f"{quote}{value}{quote}"


def _pages(page: Callable[[str | None], PagedList[T]]) -> Iterator[T]:
    token: str | None = None
    while True:
        found = page(token)
        yield from found
        token = found.token
        if not token:
            return


def _was_cut(error: BaseException) -> bool:
    import urllib3

    return any(isinstance(cause, urllib3.exceptions.ProtocolError) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def _disk(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.NoSpace(
            f"Cannot write below {directory}: {error.strerror or error}.", hint="Check its rights and the free space."
        ) from error
