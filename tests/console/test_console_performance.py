"""The Performance page on load tests of every kind: passed by turns, open, contaminated, swept, beside a stored one, of an older version."""

from __future__ import annotations

from pathlib import Path

import console_load_tests
import pytest
from console_fakes import FakeClient
from streamlit.testing.v1 import AppTest

import console

APP = Path(console.__file__).parent / "app.py"


def _open(**query: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    app.switch_page("app_pages/performance.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def _seen(app: AppTest) -> str:
    words = [str(element.value) for kind in (app.caption, app.subheader, app.markdown) for element in kind]
    return "\n".join([*(body for element in app.get("html") if "<style>" not in (body := element.proto.body)), *words])


def test_a_passed_test_says_how_it_was_measured(fake: FakeClient) -> None:
    fake.load_test = console_load_tests.passed()
    seen = _seen(_open())
    for piece in (
        "ops-qa v6 is fast enough: all 8 checks passed.",
        "beside v5, turn by turn in one test, with confidence intervals.",
    ):
        assert piece in seen
