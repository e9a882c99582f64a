"""Side by side: both answers stream, a missing side ends with its error while the other goes on; judge and votes."""

from __future__ import annotations

import asyncio

import pytest

from controlplane import wire
from controlplane.core import errors, reference_judge

MODEL = "ops-qa"
ASKED = wire.Comparison(model=MODEL, question="Which port?", context="It is 22.")


def compare(world, request=ASKED):
    async def collect():
        return [piece async for piece in world.plane.comparer.compare(request)]

    return asyncio.run(collect())


def text_of(pieces, side):
    return "".join(piece.text for piece in pieces if piece.side == side)


@pytest.fixture
def both(world):
    world.add_live()
    world.add_version("staged")
    world.replicas[0].slots["ops-qa-candidate"] = world.home_of(2)
    return world


def test_both_sides_answer_with_their_measures(both):
    pieces = compare(both)
    for side, version in (("candidate", 2), ("live", 1)):
        last = [piece for piece in pieces if piece.side == side][-1]
        assert last.is_last
        assert (last.version, last.total_seconds, last.first_token_seconds) == (version, 0.2, 0.1)
        assert f"{version}-" in text_of(pieces, side), "the fake names the directory it answers from"


def test_a_side_that_is_not_served_says_so_and_the_other_answers(both):
    del both.replicas[0].slots["ops-qa-candidate"]
    pieces = compare(both)
    (candidate,) = [piece for piece in pieces if piece.side == "candidate"]
    assert candidate.is_last
    assert "ops-qa-candidate" in candidate.error
    assert text_of(pieces, "live")


def test_a_replica_that_is_away_ends_both_sides_with_its_address(both):
    both.replicas[0].fault = errors.Unreachable("vLLM", "http://vllm-0.test", "down")
    pieces = compare(both)
    assert {piece.side for piece in pieces} == {"candidate", "live"}
    assert all("http://vllm-0.test" in piece.error for piece in pieces)


def test_an_unknown_model_is_not_found(world):
    with pytest.raises(errors.NotFound):
        compare(world)


def test_grades_name_the_judge_that_gave_them(world):
    request = wire.JudgeRequest(question="Which port?", context="It is 22.", reference="22", answers={"candidate": "22", "live": "80"})
    answer = world.plane.comparer.grade(request)
    assert answer.judge == reference_judge.NAME
    assert {side: grade for side, (grade, _reason) in answer.grades.items()} == {"candidate": "A", "live": "C"}


def test_votes_keep_who_chose_what(world):
    vote = wire.Vote(model=MODEL, prompt="Which port?", choice="tie", candidate_version=2, live_version=1, comment="equal")
    record = world.plane.comparer.vote(vote, "ada")
    assert (record.id, record.actor, record.vote) == (1, "ada", vote)
    assert world.plane.comparer.votes(MODEL) == [record]
    assert world.plane.comparer.votes("other") == []
