"""How far several raters agree on the same items, beyond chance. Pure; it does not know what is rated."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """Over the items that two or more rated. `observed` is the share of agreeing pairs, `alpha` the same beyond chance; None: not known."""

    items: int
    observed: float | None
    alpha: float | None


def among(ratings_by_item: Iterable[Sequence[str]]) -> Agreement:
    """Krippendorff's alpha for nominal data; raters may differ from item to item, and items that fewer than two rated say nothing.

    1 is full agreement, 0 what chance would give. It is unknown when all ratings are the same: nothing could have disagreed.
    Formula: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section D (coincidences of nominal data).
    """
    rated = [ratings for ratings in ratings_by_item if len(ratings) > 1]
    values = collections.Counter(rating for ratings in rated for rating in ratings)
    total = values.total()
    if not total:
        return Agreement(0, None, None)
    observed = sum(_differing(collections.Counter(ratings)) / (len(ratings) - 1) for ratings in rated) / total
    expected = _differing(values) / (total * (total - 1))
    return Agreement(len(rated), 1 - observed, 1 - observed / expected if expected else None)


def _differing(counts: collections.Counter[str]) -> int:
    """Ordered pairs of unequal ratings."""
    return counts.total() ** 2 - sum(count**2 for count in counts.values())
