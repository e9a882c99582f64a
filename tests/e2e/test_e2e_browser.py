"""A reviewer at the console: launches, watches the log, compares answers, promotes and rolls back, in a real browser on the real stack."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import playwright.sync_api as pw
import pytest

from tests.e2e.live_stack import MODEL, FirstVersion, Live

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500)]

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
PAGES = ("", "registry", "launch", "runs", "compare", "evaluation", "review", "performance", "promotion", "datasets", "judge", "health")
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[pw.Browser]:
    with pw.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: pw.Browser) -> Iterator[pw.Page]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


def press(page: pw.Page, key: str) -> None:
    page.locator(f".st-key-{key} button").first.click()


def fill(page: pw.Page, key: str, text: str) -> None:
    field = page.locator(f".st-key-{key} input, .st-key-{key} textarea").first
    field.fill(text)
    field.press("Tab")


def see(page: pw.Page, text: str) -> None:
    pw.expect(page.get_by_text(text).first).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_answers_without_a_fault(name: str, scheme: str, live: Live, second: object, browser: pw.Browser) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{live.settings.console_url}/{name}?model={MODEL}")
    page.locator(".gw-headline").first.wait_for()
    page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
    text = page.locator("[data-testid=stMain]").inner_text()
    assert "Traceback" not in text
    assert page.get_by_text("Page not found").count() == 0
    assert page.locator("[data-testid=stException]").count() == 0
    page.close()


def test_a_launched_workflow_is_watched_to_its_end(live: Live, second: object, page: pw.Page) -> None:
    page.goto(f"{live.settings.console_url}/launch?workflow=deployment")
    page.locator(".st-key-launch_deployment_model-name input").wait_for()
    fill(page, "launch_deployment_model-name", MODEL)
    fill(page, "launch_deployment_adapter-source", "version:2")
    press(page, "launch_start")
    see(page, "has started.")
    page.get_by_text("Watch it").click()
    page.locator(".st-key-runs_log_box").wait_for()
    pw.expect(page.locator(".st-key-runs_detail")).to_contain_text("succeeded", timeout=120_000, ignore_case=True)
    assert live.api.runs(workflow="deployment", limit=1)[0].interface == "console"


def test_both_answers_stream_side_by_side_and_a_vote_is_kept(live: Live, second: object, page: pw.Page) -> None:
    live.stage_second()
    before = len(live.api.votes(MODEL))
    page.goto(
        f"{live.settings.console_url}/compare?model={MODEL}&question=Which port does ssh use?&context=The ssh service listens on port 22."
    )
    press(page, "compare_ask")
    pw.expect(page.get_by_text(re.compile("tokens/s")).nth(1)).to_be_visible(timeout=PATIENCE_MS)
    press(page, "compare_vote_right")
    page.locator(".st-key-compare_vote").wait_for(state="detached")
    votes = live.api.votes(MODEL)
    assert len(votes) == before + 1
    assert votes[0].vote.choice == "live"


def test_promote_and_roll_back_by_hand(live: Live, first: FirstVersion, second: object, page: pw.Page) -> None:
    live.stage_second()
    assert live.api.model(MODEL).live == 1
    page.goto(f"{live.settings.console_url}/promotion?model={MODEL}&source=staged")
    see(page, "Make v2 live, v1 previous")
    fill(page, "promotion_reason", "looks right to me")
    press(page, "promotion_promote")
    page.locator(".st-key-promotion_proof").wait_for()
    aliases = live.api.model(MODEL).aliases
    assert (aliases["live"], aliases["previous"]) == (2, 1)

    page.goto(f"{live.settings.console_url}/promotion?model={MODEL}")
    press(page, "promotion_rollback")
    fill(page, "promotion_rollback_reason", "users complain")
    press(page, "promotion_rollback_confirm")
    page.locator(".st-key-promotion_proof").wait_for()
    aliases = live.api.model(MODEL).aliases
    assert (aliases["live"], aliases["previous"]) == (1, 2)
    newest = live.api.promotions(MODEL)[0]
    assert (newest.is_rollback, newest.interface, newest.reason) == (True, "console", "users complain")
