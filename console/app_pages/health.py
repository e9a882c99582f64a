"""Health: is everything well?"""

from __future__ import annotations

import streamlit as st

from console import components, markup, readable, reads
from controlplane import wire


@components.live("health", 10)
def draw() -> None:
    health = reads.health()
    components.headline("Is everything well?", _answer(health), "good" if health.is_well else "bad")
    facts = (("Gatewright", health.version), ("Profile", health.profile), ("Executor", health.executor))
    st.html(markup.facts([(name, markup.text(value)) for name, value in facts]))
    rows = [
        (
            markup.badge("✓", "well", "good") if system.is_well else markup.badge("✕", "not well", "bad"),
            f"<strong>{markup.text(system.name)}</strong>",
            f"<code>{markup.text(system.address)}</code>",
            readable.seconds(system.latency_seconds),
            markup.text(system.version or readable.NOTHING),
            _said(system),
        )
        for system in health.systems
    ]
    st.html(markup.table(("", "System", "Address", "Answered in", "Version", "What it says, and how to mend it"), rows, numeric=(3,)))


def _answer(health: wire.Health) -> str:
    broken = [system.name for system in health.systems if not system.is_well]
    if not broken:
        return f"Yes: all {readable.count(len(health.systems), 'system')} answer."
    return f"No: {', '.join(broken)} {'does' if len(broken) == 1 else 'do'} not answer; the row says how to mend it."


def _said(system: wire.System) -> str:
    hint = f"<br><strong>Mend it:</strong> {markup.text(system.hint)}" if system.hint and not system.is_well else ""
    return markup.text(system.detail) + hint


draw()
