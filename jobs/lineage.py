"""Which data a gate asked, as MLflow records it. It reads the file and decides nothing."""

from __future__ import annotations

from pathlib import Path

from controlplane import ports
from controlplane.core import datasets
from jobs import records


def dataset(version: ports.Version, eval_file: Path, data_version: str = "", source: str = "") -> ports.LoggedDataset:
    """The eval split of the version's data, or of `data_version`; `source`: where it came from, else the file itself.

    Raises:
        InvalidInput: the file cannot be read or holds no rows.
    """
    text = records.read_text(eval_file)
    return ports.LoggedDataset(
        name=f"{version.tags.get('dataset', '') or 'eval'} v{data_version or version.tags.get('data-version', '')} eval",
        source=source or eval_file.absolute().as_uri(),
        digest=datasets.digest(text),
        rows=len(datasets.parse(text, str(eval_file))),
        columns={name: "boolean" if kind is bool else "string" for name, kind in datasets.FIELDS.items()},
    )
