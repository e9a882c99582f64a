"""Which question a slot is asked next: every one in a drawn order before any comes again, and the same for both slots. It asks nobody."""

from __future__ import annotations

from collections.abc import Iterable

import numpy


class QuestionOrder:
    """Places in a list of `count` questions.

    Slots that take turns get the same questions, so that the difference between them is not one of questions. A slot is asked the same
    question again only when all were asked: the server's prefix cache knows it by then.
    """

    def __init__(self, count: int, roles: Iterable[str], rng: numpy.random.Generator) -> None:
        self._count = count
        self._rng = rng
        self._drawn: list[int] = []
        self._asked = dict.fromkeys(roles, 0)

    def begin_round(self) -> None:
        """From here all slots go on at the same place, where the foremost is."""
        self._asked = dict.fromkeys(self._asked, max(self._asked.values()))

    def next(self, role: str) -> int:
        place = self._asked[role]
        self._asked[role] += 1
        while place >= len(self._drawn):
            self._draw()
        return self._drawn[place]

    def _draw(self) -> None:
        order = self._rng.permutation(self._count).tolist()
        if self._drawn and order[0] == self._drawn[-1]:
            order = [*order[1:], order[0]]
        self._drawn += order
