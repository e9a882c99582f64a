"""Widgets that every page shares: frame styles, headline, error boundary, choices bound to the page's address, links, live fragments."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import streamlit as st

from console import markup, reads, session, theme
from controlplane import wire
from controlplane.core import errors

_STYLES = (Path(__file__).parent / "console.css").read_text(encoding="utf-8")
# A press on a short id copies the whole one.
_COPY = """<script>
if (!window.gatewrightCopies) {
  window.gatewrightCopies = true;
  document.addEventListener("click", event => {
    const id = event.target.closest("[data-copy]");
    if (!id) return;
    navigator.clipboard?.writeText(id.dataset.copy).then(() => {
      id.classList.add("gw-copied");
      setTimeout(() => id.classList.remove("gw-copied"), 1200);
    });
  });
}
</script><span hidden>copy</span>"""


def styles() -> None:
    st.html(f"<style>{theme.variables(colours())}</style>{_STYLES}")
    st.html(_COPY, unsafe_allow_javascript=True)


def brand() -> None:
    """Mark and name at the head of the navigation, in the mode's colours."""
    ink = colours()
    arch = (
        f'<g fill="none" stroke="{ink.accent}" stroke-width="2.4" stroke-linecap="round"><path d="M4 21V10a8 8 0 0 1 16 0v11"/>'
        '<path d="M9 21v-9a3 3 0 0 1 6 0v9"/><path d="M1.5 21h21"/></g>'
    )
    words = f'<text x="32" y="18.5" font-family="sans-serif" font-size="15.5" font-weight="600" fill="{ink.text}">Gatewright</text>'
    head = '<svg xmlns="http://www.w3.org/2000/svg"'
    st.logo(
        f'{head} width="128" height="24" viewBox="0 0 128 24">{arch}{words}</svg>',
        icon_image=f'{head} width="24" height="24" viewBox="0 0 24 24">{arch}</svg>',
        size="large",
    )


def colours() -> theme.Palette:
    """The palette of the mode the visitor sees."""
    return theme.palette(st.context.theme.type)


@contextlib.contextmanager
def boundary(name: str) -> Iterator[None]:
    """Show one of our errors as a card with what to do next; the rest of the page stays away, no stack trace appears."""
    try:
        yield
    except errors.GatewrightError as error:
        fault(error, f"{name}_retry")


def fault(error: errors.GatewrightError, key: str) -> None:
    st.html(markup.fault(error.title, error.detail, error.hint, getattr(error, "request_id", "")))
    if st.button("Try again", key=key, icon=":material/refresh:"):
        reads.forget()
        st.rerun()


@contextlib.contextmanager
def deferred(name: str) -> Iterator[None]:
    """For a callback, which can draw nothing: one of our errors is kept until `told` shows it."""
    st.session_state.pop(f"{name}_fault", None)
    try:
        yield
    except errors.GatewrightError as error:
        st.session_state[f"{name}_fault"] = error


def told(name: str) -> None:
    """Show what a callback's verb failed with, until another succeeds or somebody loads anew."""
    error = st.session_state.get(f"{name}_fault")
    if error is not None:
        st.html(markup.fault(error.title, error.detail, error.hint, getattr(error, "request_id", "")))
        st.button("Load anew", key=f"{name}_anew", icon=":material/refresh:", on_click=_load_anew, args=(name,))


def _load_anew(name: str) -> None:
    st.session_state.pop(f"{name}_fault", None)
    reads.forget()


def live(name: str, seconds: float) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """A part of a page that refreshes by itself, says how fresh it is, and keeps its faults to itself."""

    def around(draw: Callable[[], None]) -> Callable[[], None]:
        @functools.wraps(draw)
        def part() -> None:
            with boundary(name):
                draw()
                fresh(seconds)

        return st.fragment(part, run_every=seconds)

    return around


def fresh(seconds: float) -> None:
    st.html(f'<div class="gw-fresh">as of {session.now():%H:%M:%S} UTC, refreshed every {seconds:.0f} s</div>')


def stale() -> None:
    """Say so when what the page shows is older than it should be."""
    since = reads.stale_since()
    if since is not None:
        st.warning(
            f"The API does not answer. This page shows what it said at {since:%H:%M:%S} UTC; actions will fail until it is back.",
            icon=":material/cloud_off:",
        )


def headline(question: str, answer: str, tone: str = "accent") -> None:
    st.html(markup.headline(question, answer, tone))


def empty(title: str, advice: str) -> None:
    st.html(markup.empty(title, advice))


def title(words: str) -> None:
    st.subheader(words, anchor=False)


def choose(label: str, options: Sequence[str], key: str, name: str, default: str | None = None, show: Callable[[str], str] = str) -> str:
    """A select box whose value stands in the page's address as `name`."""
    session.chosen(options, key, name, default)
    return st.selectbox(label, options, key=key, format_func=show, on_change=session.remember, args=(key, name)) or ""


def choose_model(page: str) -> str:
    """The model this page is about: the address's, else the last one looked at, else one that is live.

    Empty, with advice shown, when there is no model.
    """
    models = reads.models()
    names = [model.name for model in models]
    if not names:
        empty("No model is registered yet.", "Train an adapter: Launch → training. The quality gate registers it.")
        return ""
    served = next((model.name for model in models if model.live is not None), names[0])
    kept = st.session_state.get("app_model", served)
    chosen = choose("Model", names, f"{page}_model", "model", kept if kept in names else served)
    st.session_state["app_model"] = chosen
    return chosen


def choose_version(
    page: str, versions: Sequence[wire.Version], label: str = "Version", name: str = "version", default: int | None = None
) -> int:
    """One of the versions, the newest first."""
    numbers = [str(version.number) for version in sorted(versions, key=lambda version: -version.number)]
    aliases = {str(version.number): ", ".join(version.aliases) for version in versions}
    wanted = None if default is None else str(default)
    chosen = choose(label, numbers, f"{page}_{name}", name, wanted, lambda n: f"v{n}  ({aliases[n]})" if aliases.get(n) else f"v{n}")
    return int(chosen)


def link(page: str, label: str, icon: str = ":material/arrow_forward:", **query: object) -> None:
    """A link to another page that opens as asked."""
    pages = st.session_state.get("app_pages", {})
    if page in pages:
        st.page_link(pages[page], label=label, icon=icon, query_params={name: str(value) for name, value in query.items()})


def choose_newest(page: str, versions: Sequence[wire.Version], aliases: Sequence[str]) -> int | None:
    """A version, by default the newest that carries one of `aliases`; None, with advice shown, when there is no version."""
    if not versions:
        empty("This model has no version yet.", "A training run that passes the quality gate registers one.")
        return None
    numbers = [version.number for version in versions if set(aliases) & set(version.aliases)]
    return choose_version(page, versions, default=max(numbers, default=None))


def outcome_tone(outcome: str) -> str:
    return theme.OUTCOME_TONES[outcome]
