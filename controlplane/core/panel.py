"""Several judges as one: what most of them found, and how far they agree. Pure; it calls no judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

UNREAD = "-"


@dataclass(frozen=True)
class Agreement:
    """Over the rows that every judge graded. `observed`: share of pairs of judges with the same grade; `kappa`: beyond chance.

    None where nothing can be said: no such row, or (kappa) all grades the same.
    """

    judges: int
    rows: int
    observed: float | None
    kappa: float | None


def majority(found: Sequence[str]) -> str:
    """What more than half of those that could be read say; empty when no finding has that."""
    readable = [one for one in found if one]
    if not readable:
        return ""
    most, count = Counter(readable).most_common(1)[0]
    return most if 2 * count > len(readable) else ""


def votes(found: Sequence[str]) -> str:
    """One letter a judge, in their order."""
    return "".join(one[:1] or UNREAD for one in found)


def agreement(rows: Sequence[str]) -> Agreement:
    """Of `votes` of many rows: Fleiss' kappa (Fleiss 1971, Psychol. Bull. 76:378), by statsmodels."""
    judges = max((len(row) for row in rows), default=0)
    whole = [row for row in rows if len(row) == judges and UNREAD not in row]
    if judges < 2 or not whole:
        return Agreement(judges, 0, None, None)
    from statsmodels.stats import inter_rater  # more than a second to load, which only several judges need wait for

    letters = sorted(set("".join(whole)))
    table = numpy.array([[row.count(letter) for letter in letters] for row in whole])
    observed = float(((table * (table - 1)).sum(axis=1) / (judges * (judges - 1))).mean())
    kappa = float(inter_rater.fleiss_kappa(table)) if len(letters) > 1 else None
    return Agreement(judges, len(whole), observed, kappa)
