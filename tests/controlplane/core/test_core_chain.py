"""The hash chain: whatever is changed, left out or put elsewhere shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core import chain

ENTRIES = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.none() | st.integers()), min_size=2, max_size=6)


def linked(entries):
    links, previous = [], chain.GENESIS
    for number, entry in enumerate(entries, start=1):
        links.append(chain.Link(number, entry, previous, chain.entry_hash(previous, entry)))
        previous = links[-1].hash
    return links


@given(ENTRIES)
def test_a_chain_as_written_has_no_fault(entries):
    assert chain.faults(linked(entries)) == []


@given(ENTRIES, st.data())
def test_a_changed_entry_is_named(entries, data):
    links = linked(entries)
    place = data.draw(st.integers(0, len(links) - 1))
    links[place] = replace(links[place], entry={**links[place].entry, "more": "words"})
    assert any(f"Entry {place + 1} was changed" in fault for fault in chain.faults(links))


@given(ENTRIES, st.data())
def test_a_missing_entry_leaves_a_gap(entries, data):
    links = linked(entries)
    place = data.draw(st.integers(0, len(links) - 2))
    del links[place]
    assert any("does not follow" in fault for fault in chain.faults(links))


def test_an_entry_rewritten_with_its_own_hash_breaks_the_next_link():
    links = linked([{"n": 1}, {"n": 2}, {"n": 3}])
    links[1] = replace(links[1], entry={"n": 9}, hash=chain.entry_hash(links[1].previous_hash, {"n": 9}))
    assert chain.faults(links) == ["Entry 3 does not follow entry 2: an entry between them was removed or replaced."]


@pytest.mark.parametrize("one", [{"a": 1, "b": 2}, {"b": 2, "a": 1}])
def test_the_order_of_fields_does_not_matter(one):
    assert chain.entry_hash("x", one) == chain.entry_hash("x", {"a": 1, "b": 2})
