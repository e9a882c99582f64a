"""Review: which answer do people prefer, not knowing whose it is? Blind votes on the rows of an evaluation, one after the other.

Nothing here may tell before the vote which side is whose: no role, colour, grade, reason or time of an answer is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from console import components, markup, readable, reads, session, tables
from controlplane import wire
from controlplane.core import errors, preferences

_QUESTION = "Which answer do people prefer, not knowing whose it is?"
_VOTES = (
    ("left", "A is better", "1"),
    ("right", "B is better", "2"),
    (preferences.TIE, "Tie", "3"),
    (preferences.BOTH_BAD, "Both bad", "4"),
)
_WORDS = {key: label for key, label, _ in _VOTES}


@dataclass(frozen=True)
class Sheet:
    """What this visitor reviews: the evaluation, its rows in the visitor's own order, and the visitor's votes on them by row."""

    evaluation: wire.Evaluation
    pairs: Mapping[str, dict[str, Any]]
    mine: dict[str, str]

    @property
    def order(self) -> list[str]:
        return preferences.shuffled(self.evaluation.model, self.evaluation.version, self.pairs, session.actor())

    @property
    def done(self) -> set[str]:
        return {row for row in self.pairs if self.mine.get(row, preferences.WITHDRAWN) != preferences.WITHDRAWN}

    def sides(self, row: str) -> tuple[str, str]:
        """The roles that stand left and right."""
        left = preferences.left_role(self.evaluation.model, self.evaluation.version, row, session.actor())
        return left, next(role for role in preferences.ROLES if role != left)

    def choice(self, row: str, key: str) -> str:
        """What a press on the button `key` chooses."""
        return dict(zip(("left", "right"), self.sides(row), strict=True)).get(key, key)


def draw() -> None:
    place = st.empty()
    left, right = st.columns(2)
    with left:
        model = components.choose_model("review")
    if not model:
        return
    with right:
        number = components.choose_newest("review", reads.versions(model), ("eval-passed", "eval-failed", "staged"))
    if number is None:
        return
    try:
        evaluation = reads.evaluation_to_review(model, number)
    except errors.NotFound:
        _not_run(place, model, number)
        return
    _review(place, evaluation)


def _not_run(place: st.delta_generator.DeltaGenerator, model: str, number: int) -> None:
    with place:
        components.headline(_QUESTION, f"There is nothing to review yet: Gate 1 was never run for {model} v{number}.", "broken")
    components.empty("No evaluation of this version.", "Stage the version (deployment), then launch the evaluation workflow.")
    components.link("launch", "Launch the evaluation", ":material/play_circle:", workflow="evaluation")


def _review(place: st.delta_generator.DeltaGenerator, evaluation: wire.Evaluation) -> None:
    both = [pair for pair in tables.paired(evaluation.rows) if pair["candidate"] and pair["live"]]
    sheet = Sheet(evaluation, _filtered(both), _mine(evaluation))
    if not sheet.pairs:
        _nothing(place, both)
        return
    done, total = len(sheet.done), len(sheet.pairs)
    current = _current(sheet)
    with place:
        components.headline(_QUESTION, _answer(sheet), "good" if done == total else "accent")
    st.html(markup.progress(done / total, f"{done} of {total} reviewed by you"))
    if session.actor() == session.DEFAULT_ACTOR:
        st.caption(f"You vote as {session.actor()}. Each person's vote counts once: give your own name under *Acting as*.")
    components.told("review")
    if current is None:
        _finished(sheet)
    else:
        _item(sheet, current)
        _buttons(sheet, current)
    _result(sheet, is_finished=done == total)


def _filtered(both: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    different = [pair for pair in both if pair["is_different"]]
    is_only_different = st.toggle(
        f"Only different answers ({len(different)} of {len(both)})",
        value=True,
        key="review_only_different",
        help="Equal answers need no person.",
    )
    return {pair["id"]: pair for pair in (different if is_only_different else both)}


def _nothing(place: st.delta_generator.DeltaGenerator, both: list[dict[str, Any]]) -> None:
    words = "all answers are equal" if both else "only one side answered"
    with place:
        components.headline(_QUESTION, f"There is nothing to choose: {words}.", "broken")
    advice = "Show equal answers too." if both else "An evaluation asks both sides when a version is live; launch it again then."
    components.empty("No row to review.", advice)


def _mine(evaluation: wire.Evaluation) -> dict[str, str]:
    """This visitor's choices by row; the API is asked for them once, later ones are noted as they are made."""
    votes: dict[tuple[str, str], dict[str, str]] = st.session_state.setdefault("review_votes", {})
    key = (evaluation.mlflow_run, session.actor())
    if key not in votes:
        known = session.reader().votes(evaluation.model, version=evaluation.version, evaluation_run=evaluation.mlflow_run)
        votes[key] = {one.vote.row_id: one.vote.choice for one in reversed(known) if one.actor == session.actor()}
    return votes[key]


def _trail(evaluation: wire.Evaluation) -> list[tuple[str, bool]]:
    """The rows this visitor left, with whether by a vote; the last one at the end."""
    trails: dict[tuple[str, str], list[tuple[str, bool]]] = st.session_state.setdefault("review_trail", {})
    return trails.setdefault((evaluation.mlflow_run, session.actor()), [])


def _current(sheet: Sheet) -> str | None:
    """The row that the address names, else the first that waits; None when all are reviewed."""
    wanted = session.parameter("row")
    return wanted if wanted in sheet.pairs else preferences.following(sheet.order, "", sheet.done)


def _answer(sheet: Sheet) -> str:
    name = f"{sheet.evaluation.model} v{sheet.evaluation.version}"
    waiting = len(sheet.pairs) - len(sheet.done)
    if not waiting:
        return f"You have reviewed all {readable.count(len(sheet.pairs), 'row')} of {name}. What people said stands below."
    return f"{readable.count(waiting, 'row')} of {name} {'waits' if waiting == 1 else 'wait'} for you. Which side is whose stays hidden."


def _item(sheet: Sheet, row: str) -> None:
    pair = sheet.pairs[row]
    kind = "can be answered" if pair["answerable"] else "cannot be answered: must be refused"
    st.html(
        markup.facts(
            [
                ("Question", markup.text(pair["question"])),
                ("Context", markup.text(pair["context"] or "(none)")),
                (f"Reference answer ({kind})", markup.text(pair["reference"])),
            ],
            is_wide=True,
        )
    )
    answers = [pair[role].answer for role in sheet.sides(row)]
    for column, name, own, other in zip(st.columns(2), ("Answer A", "Answer B"), answers, answers[::-1], strict=True):
        body = markup.differing(own, other, "broken") or "<span class='gw-muted'>(an empty answer)</span>"
        column.html(markup.side("broken", markup.badge("◌", name, "broken"), body, ""))


def _buttons(sheet: Sheet, row: str) -> None:
    trail = _trail(sheet.evaluation)
    with st.container(border=True, key="review_vote"):
        st.text_input("Comment", key=f"review_comment_{row}", placeholder="optional: what decided it", max_chars=500)
        with st.container(horizontal=True):
            for key, label, shortcut in _VOTES:
                st.button(label, key=f"review_{key}", shortcut=shortcut, on_click=_cast, args=(sheet, row, key))
            st.button("Skip", key="review_skip", shortcut="s", type="tertiary", on_click=_leave, args=(sheet, row))
            st.button("Back", key="review_back", shortcut="b", type="tertiary", disabled=not trail, on_click=_back, args=(sheet,))
            _undo_button(sheet)
        if row in sheet.done:
            said = next(words for key, words in _WORDS.items() if sheet.choice(row, key) == sheet.mine[row])
            st.caption(f"You said: {said}. Vote again to change it.")


def _undo_button(sheet: Sheet) -> None:
    voted = [row for row, is_vote in _trail(sheet.evaluation) if is_vote and row in sheet.done]
    st.button(
        "Undo my last vote",
        key="review_undo",
        shortcut="u",
        type="tertiary",
        disabled=not voted,
        on_click=_undo,
        args=(sheet, voted[-1] if voted else ""),
    )


def _cast(sheet: Sheet, row: str, key: str) -> None:
    with components.deferred("review"):
        _send(sheet, row, sheet.choice(row, key), st.session_state.get(f"review_comment_{row}", ""))
        _leave(sheet, row, is_vote=True)


def _undo(sheet: Sheet, row: str) -> None:
    with components.deferred("review"):
        _send(sheet, row, preferences.WITHDRAWN)
        _trail(sheet.evaluation).remove((row, True))
        st.query_params["row"] = row


def _send(sheet: Sheet, row: str, choice: str, comment: str = "") -> None:
    evaluation = sheet.evaluation
    body = {
        "model": evaluation.model,
        "choice": choice,
        "candidate_version": evaluation.version,
        "comment": comment.strip(),
        "row_id": row,
        "evaluation_run": evaluation.mlflow_run,
        "left": sheet.sides(row)[0],
    }
    session.client().vote(wire.Vote.model_validate(body))
    sheet.mine[row] = choice
    reads.forget_reviews(evaluation.model, evaluation.version)


def _leave(sheet: Sheet, row: str, *, is_vote: bool = False) -> None:
    """On to the next row that waits, at once; the callback runs before the page is drawn."""
    _trail(sheet.evaluation).append((row, is_vote))
    following = preferences.following(sheet.order, row, sheet.done)
    if following is not None:
        st.query_params["row"] = following
    else:
        st.query_params.pop("row", None)


def _back(sheet: Sheet) -> None:
    row, _ = _trail(sheet.evaluation).pop()
    st.query_params["row"] = row


def _finished(sheet: Sheet) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.success("You have reviewed every row.", icon=":material/how_to_vote:")
        _undo_button(sheet)


def _result(sheet: Sheet, *, is_finished: bool) -> None:
    """What all people said. Before one's own review is finished it is shown on request only: it would lead the eye."""
    evaluation = sheet.evaluation
    components.link("evaluation", "Back to the evaluation", ":material/rule:", model=evaluation.model, version=evaluation.version)
    if not is_finished and not st.toggle("Show what people said so far", key="review_result", help="It may bias the votes you still give."):
        return
    found = reads.review(evaluation.model, evaluation.version)
    components.title("What people said")
    if not found.preference.rows:
        components.empty("Nobody has voted yet.", "The first vote fills this.")
        return
    st.html(f"<p>{markup.text(_net(found))}</p>")
    st.html(markup.facts(_counts(found)))
    st.html(markup.facts(_agreements(found), is_wide=True))
    _downloads(found)


def _net(found: wire.Review) -> str:
    people = f"{readable.count(len(found.reviewers), 'reviewer')} ({', '.join(found.reviewers)})"
    interval = found.preference.interval
    bounds = (
        f", {interval.level:.0%} interval {readable.signed(interval.low, '%')} to {readable.signed(interval.high, '%')}" if interval else ""
    )
    net, rows = readable.signed(found.preference.net, "%"), readable.count(found.preference.rows, "row")
    return f"{people}: net preference for the candidate {net}{bounds}, over {rows} with votes."


def _counts(found: wire.Review) -> list[tuple[str, str]]:
    counts = found.preference
    named = (
        ("Candidate preferred", counts.candidate),
        ("Live preferred", counts.live),
        ("Tie or no majority", counts.tie),
        ("Both bad", counts.both_bad),
    )
    return [(name, readable.count(rows, "row")) for name, rows in named]


def _agreements(found: wire.Review) -> list[tuple[str, str]]:
    named = (
        ("Between people", found.between_people, "row"),
        (f"People and the judge ({found.judge}), by row", found.people_and_judge, "row"),
        ("Stated grades and the judge", found.grades_and_judge, "answer"),
    )
    return [(name, markup.text(tables.agreement(one, noun))) for name, one, noun in named]


def _downloads(found: wire.Review) -> None:
    votes, name = reads.exported_votes(found.model, found.version), f"{found.model}-v{found.version}"
    golden = reads.golden_rows(found.model, found.version)
    with st.container(horizontal=True):
        st.download_button("Votes (CSV)", tables.votes_csv(votes), f"{name}-votes.csv", "text/csv", key="review_csv")
        st.download_button("Votes (JSONL)", tables.jsonl(votes), f"{name}-votes.jsonl", "application/jsonl", key="review_jsonl")
        st.download_button(
            f"Golden rows ({len(golden)}, JSONL)",
            tables.jsonl(golden),
            f"{name}-golden.jsonl",
            "application/jsonl",
            key="review_golden",
            disabled=not golden,
            help="Answers whose right grade people agree on: stated on the Evaluation page, or both bad by two or more votes.",
        )


draw()
