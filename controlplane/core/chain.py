"""The ledger's hash chain: each entry's hash covers the entry before it, so that a change, a gap or a swap shows. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

GENESIS = ""


@dataclass(frozen=True)
class Link:
    """One entry as it is stored: what it says, the hash it says it follows, and its own."""

    id: int
    entry: Mapping[str, object]
    previous_hash: str
    hash: str


def entry_hash(previous_hash: str, entry: Mapping[str, object]) -> str:
    """SHA-256 over the previous entry's hash, a newline, and the entry as JSON with sorted keys, no spaces and ASCII only.

    Args:
        entry: values that JSON knows; times as ISO 8601 text in UTC.
    """
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{previous_hash}\n{text}".encode()).hexdigest()


def faults(links: Iterable[Link]) -> list[str]:
    """What is wrong with the chain, oldest first; empty when every entry is as it was written and none is missing between them."""
    found, last_id, last_hash = [], 0, GENESIS
    for link in links:
        if link.previous_hash != last_hash:
            after = f"entry {last_id}" if last_id else "the beginning"
            found.append(f"Entry {link.id} does not follow {after}: an entry between them was removed or replaced.")
        if entry_hash(link.previous_hash, link.entry) != link.hash:
            found.append(f"Entry {link.id} was changed after it was written.")
        last_id, last_hash = link.id, link.hash
    return found
