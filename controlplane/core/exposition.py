"""Reads Prometheus' text format, as vLLM's own /metrics speaks it, into series. Text in, values out; it knows no metric's name."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import parser

from controlplane.core import errors, series


def parse(text: str, at_seconds: float) -> list[series.Series]:
    """Every sample as a series of one point, values that are no numbers included.

    Raises:
        InvalidInput: the text is something else.
    """
    try:
        samples = [sample for family in parser.text_string_to_metric_families(text) for sample in family.samples]
    except (ValueError, IndexError, KeyError) as error:
        raise errors.InvalidInput(
            f"This is not Prometheus' text format: {text[:60]!r}.", hint="Give the address of a vLLM server."
        ) from error
    return [series.Series({"__name__": sample.name, **sample.labels}, ((at_seconds, float(sample.value)),)) for sample in samples]


def joined(*readings: Iterable[series.Series]) -> list[series.Series]:
    """Series of the same labels made one, their points in the order of the readings."""
    points: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
    for one in (one for reading in readings for one in reading):
        points.setdefault(frozenset(one.labels.items()), []).extend(one.points)
    return [series.Series(dict(labels), tuple(found)) for labels, found in points.items()]
