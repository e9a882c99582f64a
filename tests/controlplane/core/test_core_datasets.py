"""Rows of a dataset: what is read, and how a fault is named by file, line and field."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core import datasets, errors

GOOD = {"id": "1", "question": "Which port?", "context": "ssh listens on 22.", "answer": "22", "answerable": True}
TEXT = st.text(min_size=1).filter(lambda text: bool(text.strip()))


def line(**changes: object) -> str:
    return json.dumps({**GOOD, **changes})


def without(field: str) -> str:
    return json.dumps({name: value for name, value in GOOD.items() if name != field})


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("{", "is not JSON"),
        ("nonsense", "is not JSON"),
        ("[1, 2]", "is not a JSON object"),
        ("3", "is not a JSON object"),
        (without("context"), "lacks the field 'context'"),
        (without("answerable"), "lacks the field 'answerable'"),
        (line(id=7), "'id' must be text"),
        (line(answerable="yes"), "'answerable' must be true or false"),
        (line(answerable=1), "'answerable' must be true or false"),
        (line(question=" "), "'question' is empty"),
        (line(answer=""), "'answer' is empty"),
        (line(), "id '1' was used in line 1"),
    ],
)
def test_fault_names_file_line_and_field(bad: str, says: str) -> None:
    with pytest.raises(errors.InvalidInput) as fault:
        datasets.parse(f"{line()}\n\n{bad}\n", "eval.jsonl")
    assert "eval.jsonl line 3" in str(fault.value)
    assert says in str(fault.value)


@pytest.mark.parametrize("text", ["", "\n  \n"])
def test_a_dataset_without_rows_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidInput, match="has no rows"):
        datasets.parse(text, "train.jsonl")


def test_an_empty_context_is_a_context_and_more_fields_do_no_harm() -> None:
    assert datasets.parse(line(context="", source="x"), "f")[0].context == ""


@given(st.lists(st.builds(datasets.Row, TEXT, TEXT, st.text(), TEXT, st.booleans()), min_size=1, max_size=5, unique_by=lambda row: row.id))
def test_rows_survive_writing_and_reading(rows: list[datasets.Row]) -> None:
    assert datasets.parse(datasets.to_jsonl(rows), "f") == rows


def test_digest_tells_texts_apart() -> None:
    assert datasets.digest("a") != datasets.digest("b")
    assert len(datasets.digest("")) == 64
