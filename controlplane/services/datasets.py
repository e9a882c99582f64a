"""Dataset versions in the object store: list, look into, add. A file with a bad row is refused whole."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass

from controlplane import ports, wire
from controlplane.core import adapters, datasets, errors

logger = logging.getLogger(__name__)

MAX_UPLOAD_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Datasets:
    """Keys are `<name>/v<version>/<split>.jsonl` below the store's root."""

    store: ports.ObjectStore
    registry: ports.Registry

    def all(self) -> list[wire.Dataset]:
        """By name, then newest first."""
        found = defaultdict(list)
        for key in self.store.list(""):
            parts = key.split("/")
            if len(parts) == 3 and parts[1][:1] == "v" and parts[1][1:].isdecimal() and parts[2].endswith(".jsonl"):
                found[parts[0], int(parts[1][1:])].append(parts[2].removesuffix(".jsonl"))
        used = self._used()
        ordered = sorted(found, key=lambda item: (item[0], -item[1]))
        return [self._shown(name, version, found[name, version], tuple(used[name, str(version)])) for name, version in ordered]

    def get(self, dataset_id: str) -> wire.Dataset:
        """Raises NotFound."""
        for dataset in self.all():
            if dataset.id == dataset_id:
                return dataset
        raise errors.NotFound(
            f"There is no dataset {dataset_id!r}.", hint="Upload it on the Datasets page or below /api/v1/datasets/upload."
        )

    def preview(self, dataset_id: str, split: str, limit: int) -> wire.Preview:
        """The first rows of a split. Raises NotFound."""
        name, version = _parse_id(dataset_id)
        rows = self._rows(name, version, split)
        shown = [wire.DatasetRow(**vars(row)) for row in rows[:limit]]
        return wire.Preview(id=dataset_id, split=split, total=len(rows), rows=tuple(shown))

    def upload(self, name: str, version: int, split: str, file_name: str, content: bytes) -> wire.Dataset:
        """Adds one split of one version; an existing one is never replaced, because versions were trained on it.

        Raises:
            InvalidInput: a bad name, split, size or row (file, line and field are named); nothing is written.
            Conflict: that split exists.
        """
        _check_upload(name, version, split, content)
        rows = _parsed(content, file_name)
        if _key(name, version, split) in self.store.list(""):
            raise errors.Conflict(f"{name} v{version} has a {split} split already.", hint="Upload it as a new version.")
        self.store.write(_key(name, version, split), datasets.to_jsonl(rows).encode())
        return self.get(f"{name}-v{version}")

    def _rows(self, name: str, version: int, split: str) -> list[datasets.Row]:
        key = _key(name, version, split)
        return _parsed(self.store.read(key), key)

    def _shown(self, name: str, version: int, splits: list[str], used_by: tuple[str, ...]) -> wire.Dataset:
        return wire.Dataset(
            id=f"{name}-v{version}",
            name=name,
            version=version,
            splits=tuple(self._split(name, version, split) for split in sorted(splits, key=_split_order)),
            used_by=used_by,
        )

    def _split(self, name: str, version: int, split: str) -> wire.Split:
        content = self.store.read(_key(name, version, split))
        try:
            rows = _parsed(content, split)
        except errors.InvalidInput as error:
            # A file that somebody damaged in the store counts no rows; `preview` says what is wrong with it.
            logger.warning("%s v%s: %s", name, version, error)
            rows = []
        digest = datasets.digest(content.decode(errors="replace"))
        return wire.Split(name=split, rows=len(rows), answerable=sum(row.answerable for row in rows), digest=digest)

    def _used(self) -> dict[tuple[str, str], list[str]]:
        used: dict[tuple[str, str], list[str]] = defaultdict(list)
        try:
            versions = [version for model in self.registry.models() for version in self.registry.versions(model.name)]
        except errors.GatewrightError:
            return used  # datasets can be looked at while the registry is away; their use is then unknown
        for version in versions:
            used[version.tags.get("dataset", ""), version.tags.get("data-version", "")].append(f"{version.model} v{version.number}")
        return used


def _parsed(content: bytes, file: str) -> list[datasets.Row]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise errors.InvalidInput(f"{file} is not UTF-8 text (byte {error.start}).", hint="Save it as UTF-8 JSONL.") from None
    return datasets.parse(text, file)


def _check_upload(name: str, version: int, split: str, content: bytes) -> None:
    adapters.check_model_name(name)
    if version < 1:
        raise errors.InvalidInput(f"Version {version} is not allowed.", hint="Versions count from 1.")
    if split not in datasets.SPLITS:
        raise errors.InvalidInput(f"There is no split {split!r}.", hint=f"Use one of: {', '.join(datasets.SPLITS)}.")
    if len(content) > MAX_UPLOAD_BYTES:
        raise errors.InvalidInput(f"The file has {len(content)} bytes.", hint=f"At most {MAX_UPLOAD_BYTES} bytes are taken.")


def _key(name: str, version: int, split: str) -> str:
    return f"{name}/v{version}/{split}.jsonl"


def _split_order(split: str) -> int:
    return datasets.SPLITS.index(split) if split in datasets.SPLITS else len(datasets.SPLITS)


def _parse_id(dataset_id: str) -> tuple[str, int]:
    name, _, version = dataset_id.rpartition("-v")
    if not name or not version.isdecimal():
        raise errors.NotFound(f"There is no dataset {dataset_id!r}.", hint="An id looks like ops-qa-v1.")
    return adapters.check_model_name(name), int(version)
