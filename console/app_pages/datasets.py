"""Datasets: what did it learn from?"""

from __future__ import annotations

import streamlit as st

from console import components, markup, readable, reads, session
from controlplane import wire
from controlplane.core import datasets, errors

_SHOWN_ROWS = 20


def draw() -> None:
    found = reads.datasets()
    components.headline("What did it learn from?", _answer(found), "accent" if found else "broken")
    if found:
        _versions(found)
        _preview(found)
    else:
        components.empty("No dataset is here yet.", "Upload the train, validation and eval splits below, as JSONL.")
    _upload()


def _answer(found: list[wire.Dataset]) -> str:
    if not found:
        return "Nothing yet: there is no dataset."
    newest = found[0]
    used = f"used by {', '.join(newest.used_by)}" if newest.used_by else "not used by any version yet"
    rows = sum(split.rows for split in newest.splits)
    return f"{readable.count(len(found), 'dataset version')}; the newest, {newest.id}, has {readable.count(rows, 'row')} and is {used}."


def _versions(found: list[wire.Dataset]) -> None:
    rows = [
        (
            f"<strong>{markup.text(one.id)}</strong>",
            markup.text(split.name),
            f"{split.rows:,}",
            f"{readable.number(1 - split.answerable / split.rows, '%')}" if split.rows else readable.NOTHING,
            markup.badge("✓", "valid", "good"),
            markup.identifier(split.digest, 12),
            markup.text(", ".join(one.used_by) or readable.NOTHING),
        )
        for one in found
        for split in one.splits
    ]
    heads = ("Dataset", "Split", "Rows", "Must be refused", "Checked", "Digest", "Used by")
    st.html(markup.table(heads, rows, numeric=(2, 3)))


def _preview(found: list[wire.Dataset]) -> None:
    components.title("Look inside")
    left, right = st.columns(2)
    with left:
        chosen = components.choose("Dataset", [one.id for one in found], "datasets_dataset", "dataset")
    splits = [split.name for split in next(one for one in found if one.id == chosen).splits]
    with right:
        split = components.choose("Split", splits, "datasets_split", "split", "eval")
    preview = reads.preview(chosen, split, _SHOWN_ROWS)
    rows = [
        (
            markup.identifier(row.id, 16),
            markup.text(row.question),
            markup.text(row.context),
            markup.text(row.answer),
            markup.badge("✓", "answerable", "good") if row.answerable else markup.badge("⊘", "must be refused", "unsure"),
        )
        for row in preview.rows
    ]
    st.html(markup.table(("Row", "Question", "Context", "Answer", ""), rows))
    st.caption(f"The first {len(preview.rows):,} of {readable.count(preview.total, 'row')}.")


def _upload() -> None:
    with st.expander("Upload a split", icon=":material/upload:", key="datasets_upload"):
        st.markdown(
            "One JSON object a line: `id`, `question`, `context`, `answer`, `answerable`. A split that exists is never overwritten."
        )
        left, middle, right = st.columns(3)
        name = left.text_input("Dataset name", key="datasets_name", placeholder="ops-qa")
        version = middle.number_input("Version", min_value=1, value=1, step=1, key="datasets_version")
        split = right.selectbox("Split", datasets.SPLITS, key="datasets_new_split")
        file = st.file_uploader("JSONL file", type=["jsonl"], key="datasets_file")
        if st.button("Upload and check", key="datasets_send", disabled=file is None or not name.strip()) and file:
            _send(name.strip(), int(version), split, file.name, file.getvalue())


def _send(name: str, version: int, split: str, file_name: str, content: bytes) -> None:
    try:
        with st.spinner("Checking every row …"):
            dataset = session.client().upload(name, version, split, file_name, content)
    except errors.GatewrightError as error:
        components.fault(error, "datasets_retry")
        return
    reads.forget()
    st.success(
        f"{dataset.id} {split} is in: {', '.join(f'{one.name} {one.rows} rows' for one in dataset.splits)}.", icon=":material/check_circle:"
    )


draw()
