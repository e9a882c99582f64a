"""The console's frame: navigation, styles, who acts, one error boundary around all pages. Run with `streamlit run console/app.py`."""

from __future__ import annotations

import streamlit as st

from console import components, reads, session

PAGES = {
    "Decide": (
        ("overview", "Overview", ":material/dashboard:"),
        ("registry", "Registry", ":material/inventory_2:"),
        ("evaluation", "Evaluation", ":material/rule:"),
        ("review", "Review", ":material/how_to_vote:"),
        ("performance", "Performance", ":material/speed:"),
        ("compare", "Compare", ":material/compare_arrows:"),
        ("promotion", "Promotion", ":material/rocket_launch:"),
    ),
    "Run": (("launch", "Launch", ":material/play_circle:"), ("runs", "Runs", ":material/account_tree:")),
    "Know": (
        ("datasets", "Datasets", ":material/dataset:"),
        ("judge", "Judge", ":material/balance:"),
        ("health", "Health", ":material/monitor_heart:"),
    ),
}


def main() -> None:
    st.set_page_config(page_title="Gatewright", page_icon="⛩", layout="wide")
    components.styles()
    components.brand()
    pages = _pages()
    shown = {section: [pages[name] for name, _, _ in items] for section, items in PAGES.items()}
    # The default page lives at "/" only; people who type or keep "/overview" must find it too.
    alias = st.Page("app_pages/overview.py", title="Overview", url_path="overview", visibility="hidden")
    chosen = st.navigation({**shown, "": [alias]}, expanded=True)
    _sidebar()
    reads.begin()
    notice = st.empty()
    with components.boundary("page"):
        chosen.run()
    with notice:
        components.stale()


def _pages() -> dict[str, st.Page]:
    pages = {
        name: st.Page(
            f"app_pages/{name}.py", title=title, icon=icon, url_path="" if name == "overview" else name, default=name == "overview"
        )
        for items in PAGES.values()
        for name, title, icon in items
    }
    st.session_state["app_pages"] = pages
    return pages


def _sidebar() -> None:
    with st.sidebar:
        st.text_input(
            "Acting as",
            value=session.DEFAULT_ACTOR,
            key="app_actor",
            help="Your name. The ledger keeps it with every decision you make here.",
            max_chars=80,
        )
        if st.button("Refresh", key="app_refresh", icon=":material/refresh:"):
            reads.forget()
            st.rerun()
        st.caption(f"API `{session.ADDRESS}`")


main()
