"""Compare: which answers better? Candidate and live answer the same question at the same time."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

import streamlit as st

from console import components, markup, readable, reads, session
from controlplane import wire
from controlplane.core import errors

_SIDES = ("candidate", "live")
_DRAWN_ROWS = 200
# 80 % power at a true win rate of 80 %; smaller differences need more.
_DECISIVE_VOTES = 18


@dataclass(frozen=True)
class Prompt:
    """What is asked; `reference` is empty when the right answer is not known."""

    question: str
    context: str
    reference: str = ""
    is_answerable: bool = True


@dataclass(frozen=True)
class Answer:
    """One side's answer so far."""

    text: str = ""
    is_over: bool = False
    version: int | None = None
    first_token_seconds: float | None = None
    total_seconds: float | None = None
    tokens: int | None = None
    error: str = ""

    @property
    def tokens_per_second(self) -> float | None:
        """Decoding speed: tokens after the first, over the time after the first."""
        if not self.tokens or self.tokens < 2 or self.total_seconds is None or self.first_token_seconds is None:
            return None
        spent = self.total_seconds - self.first_token_seconds
        return (self.tokens - 1) / spent if spent > 0 else None


@dataclass(frozen=True)
class Round:
    """One comparison: what was asked, in which order the sides stand and whether unnamed, what they said, the judge and the vote."""

    model: str
    prompt: Prompt
    order: tuple[str, str]
    is_blind: bool
    answers: dict[str, Answer]
    judged: wire.JudgeAnswer | None = None
    vote: str = ""

    @property
    def is_hidden(self) -> bool:
        return self.is_blind and not self.vote


def draw() -> None:
    place = st.empty()
    model = components.choose_model("compare")
    if not model:
        with place:
            components.headline("Which answers better?", "Nobody can say: there is no model yet.", "broken")
        return
    with place:
        components.headline("Which answers better?", _tally(reads.votes(model)))
    prompt = _prompt()
    current: Round | None = st.session_state.get("compare_round")
    if _ask_pressed(prompt):
        _remember_question(prompt)
        current = _stream(model, prompt)
    elif current is not None and current.model == model:
        _show(current)
    if current is None or current.model != model:
        components.empty("Nothing was asked yet.", "Type a question or draw one from the eval set, then ask both.")
        return
    _judge(current)
    _vote(current)


def _tally(every: list[wire.VoteRecord]) -> str:
    """Of the votes on prompts asked here; those on the rows of an evaluation are the Review page's."""
    votes = [record for record in every if not record.vote.row_id]
    if not votes:
        return "No votes yet. Ask both the same question and say which answer you prefer."
    counts = {choice: sum(record.vote.choice == choice for record in votes) for choice in ("candidate", "live", "tie", "both-bad")}
    words = f"candidate {counts['candidate']}, live {counts['live']}, tie {counts['tie']}, both bad {counts['both-bad']}"
    decisive = counts["candidate"] + counts["live"]
    caution = "" if decisive >= _DECISIVE_VOTES else f" Too few to decide by: {decisive} of at least {_DECISIVE_VOTES} decisive ones."
    return f"{readable.count(len(votes), 'vote')} so far: {words}.{caution}"


def _prompt() -> Prompt:
    """The question: typed, or a row of the eval set. A link with `question` or `row` opens as it was seen."""
    ways = ("type it", "draw from the eval set")
    start = ways[1] if session.parameter("row") else ways[0]
    way = st.segmented_control("Question", ways, default=start, key="compare_way", required=True)
    if way == ways[1]:
        return _drawn()
    left, right = st.columns(2)
    st.session_state.setdefault("compare_question", session.parameter("question"))
    st.session_state.setdefault("compare_context", session.parameter("context"))
    question = left.text_area("Question to ask", key="compare_question", height=90, placeholder="Which port does ssh use?")
    context = right.text_area("Context it must answer from", key="compare_context", height=90, placeholder="ssh 22/tcp")
    return Prompt(question.strip(), context.strip())


def _drawn() -> Prompt:
    found = [dataset.id for dataset in reads.datasets()]
    if not found:
        components.empty("There is no eval set yet.", "Upload one on the Datasets page, or type a question.")
        return Prompt("", "")
    left, right = st.columns([1, 3])
    with left:
        dataset = components.choose("Dataset", found, "compare_dataset", "dataset")
    rows = {row.id: row for row in reads.preview(dataset, "eval", _DRAWN_ROWS).rows}
    ids = list(rows)
    with right:
        chosen = components.choose(
            "Row", ids, "compare_row", "row", show=lambda one: f"{one}: {rows[one].question}" if one in rows else one
        )
    place = ids.index(chosen)
    with st.container(horizontal=True):
        st.button("Previous row", key="compare_previous", shortcut="k", disabled=place == 0, on_click=_go, args=(ids[max(0, place - 1)],))
        st.button(
            "Next row",
            key="compare_next",
            shortcut="j",
            disabled=place == len(ids) - 1,
            on_click=_go,
            args=(ids[min(len(ids) - 1, place + 1)],),
        )
        st.button("Any row", key="compare_any", icon=":material/shuffle:", on_click=_go_anywhere, args=(ids,))
    row = rows[chosen]
    st.html(markup.facts([("Context", markup.text(row.context or "(none)")), ("Reference answer", markup.text(row.answer))], is_wide=True))
    return Prompt(row.question, row.context, row.answer, row.answerable)


def _go(row: str) -> None:
    st.query_params["row"] = row


def _go_anywhere(ids: list[str]) -> None:
    st.query_params["row"] = secrets.choice(ids)


def _ask_pressed(prompt: Prompt) -> bool:
    with st.container(horizontal=True, vertical_alignment="center"):
        is_pressed = st.button(
            "Ask both",
            type="primary",
            key="compare_ask",
            icon=":material/compare_arrows:",
            disabled=not prompt.question,
        )
        st.toggle("Blind", key="compare_blind", help="Hides which is which, in random order, until you have voted.")
        st.number_input("Longest answer (tokens)", 1, 1024, 48, key="compare_max_tokens", width=190)
        st.caption("Both answer at the same time." if prompt.question else "Type a question first.")
    return is_pressed


def _remember_question(prompt: Prompt) -> None:
    if not prompt.reference:
        st.query_params["question"], st.query_params["context"] = prompt.question, prompt.context


def _stream(model: str, prompt: Prompt) -> Round | None:
    """Ask both and show the pieces as they come; the finished round stays in the visitor's state."""
    is_blind = bool(st.session_state.get("compare_blind"))
    order = secrets.choice((_SIDES, _SIDES[::-1])) if is_blind else _SIDES
    current = Round(model, prompt, (order[0], order[1]), is_blind, {side: Answer() for side in _SIDES})
    places = {side: column.empty() for side, column in zip(current.order, st.columns(2), strict=True)}
    for side, place in places.items():
        place.html(_side(current, side))
    asked = wire.Comparison(
        model=model, question=prompt.question, context=prompt.context, max_tokens=int(st.session_state.get("compare_max_tokens", 48))
    )
    try:
        for event in session.client().compare(asked):
            current.answers[event.side] = _grown(current.answers[event.side], event)
            places[event.side].html(_side(current, event.side))
    except errors.GatewrightError as error:
        components.fault(error, "compare_retry")
        return None
    for side, place in places.items():
        place.html(_side(current, side))
    st.session_state["compare_round"] = current
    return current


def _grown(answer: Answer, event: wire.ComparisonEvent) -> Answer:
    grown = replace(answer, text=answer.text + event.text, error=event.error or answer.error)
    if not event.is_last and not event.error:
        return grown
    return replace(
        grown,
        is_over=True,
        version=event.version,
        first_token_seconds=event.first_token_seconds,
        total_seconds=event.total_seconds,
        tokens=event.answer_tokens,
    )


def _show(current: Round) -> None:
    for side, column in zip(current.order, st.columns(2), strict=True):
        column.html(_side(current, side))


def _side(current: Round, side: str) -> str:
    """One side's card. Differences are marked when both are complete; names and versions stay hidden in blind mode."""
    answer = current.answers[side]
    other = current.answers[next(name for name in _SIDES if name != side)]
    tone = "broken" if current.is_hidden else side
    name = f"Answer {current.order.index(side) + 1}"
    head = markup.badge("◌", name, "broken") if current.is_hidden else markup.role(side, answer.version)
    if answer.error:
        return markup.side(
            tone, head, f"<span class='gw-ink-bad'>{markup.text(answer.error)}</span>", "No answer. The Health page says what is wrong."
        )
    if not answer.is_over:
        return markup.side(tone, head, f"{markup.text(answer.text)}<span class='gw-caret'>▌</span>", "answering …")
    is_both_over = other.is_over and not other.error
    body = markup.differing(answer.text, other.text, tone) if is_both_over else markup.text(answer.text)
    return markup.side(tone, head, body or "<span class='gw-muted'>(an empty answer)</span>", _measures(answer) + _graded(current, side))


def _measures(answer: Answer) -> str:
    parts = (
        f"first token {readable.seconds(answer.first_token_seconds)}",
        f"all {readable.seconds(answer.total_seconds)}",
        readable.number(answer.tokens_per_second, "tokens/s"),
        readable.count(answer.tokens or 0, "token"),
    )
    return " · ".join(parts)


def _graded(current: Round, side: str) -> str:
    if current.judged is None or side not in current.judged.grades:
        return ""
    letter, reason = current.judged.grades[side]
    return f"<br>{markup.grade(letter)} {markup.text(reason)} <span class='gw-muted'>judge: {markup.text(current.judged.judge)}</span>"


def _judge(current: Round) -> None:
    answers = {side: answer.text for side, answer in current.answers.items() if answer.is_over and not answer.error}
    if current.judged is not None or not answers:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        reference = current.prompt.reference
        if not reference:
            reference = st.text_input(
                "Right answer, for the judge to grade against", key="compare_reference", width=360, live="400ms"
            ).strip()
        if st.button("Ask the judge", key="compare_judge", icon=":material/gavel:", disabled=not reference):
            prompt = current.prompt
            request = wire.JudgeRequest(
                question=prompt.question, context=prompt.context, reference=reference, answerable=prompt.is_answerable, answers=answers
            )
            try:
                judged = session.client().judge(request)
            except errors.GatewrightError as error:
                components.fault(error, "compare_judge_retry")
                return
            st.session_state["compare_round"] = replace(current, judged=judged)
            st.rerun()


def _vote(current: Round) -> None:
    if current.vote:
        st.success(f"Your vote is in: {current.vote.replace('-', ' ')}.", icon=":material/how_to_vote:")
        return
    names = [f"Answer {place}" if current.is_hidden else side.capitalize() for place, side in enumerate(current.order, start=1)]
    with st.container(border=True, key="compare_vote"):
        comment = st.text_input("Comment", key="compare_comment", placeholder="optional: what decided it", max_chars=500)
        with st.container(horizontal=True):
            choices = (
                (names[0], current.order[0], "left", "1"),
                (names[1], current.order[1], "right", "2"),
                ("Tie", "tie", "tie", "3"),
                ("Both bad", "both-bad", "both_bad", "4"),
            )
            for label, choice, key, shortcut in choices:
                words = f"{label} is better" if key in ("left", "right") else label
                if st.button(words, key=f"compare_vote_{key}", shortcut=shortcut):
                    _cast(current, choice, comment)


def _cast(current: Round, choice: str, comment: str) -> None:
    vote = wire.Vote.model_validate(
        {
            "model": current.model,
            "prompt": current.prompt.question,
            "choice": choice,
            "candidate_version": current.answers["candidate"].version,
            "live_version": current.answers["live"].version,
            "comment": comment.strip(),
        }
    )
    try:
        session.client().vote(vote)
    except errors.GatewrightError as error:
        components.fault(error, "compare_vote_retry")
        return
    reads.forget()
    st.session_state["compare_round"] = replace(current, vote=choice)
    st.rerun()


draw()
