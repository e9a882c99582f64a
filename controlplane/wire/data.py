"""Datasets and their rows."""

from __future__ import annotations

from controlplane.wire.body import Body


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
