"""The second witness: a real Prometheus that scrapes a small server, everything that can go wrong with one, and no hang."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import chat_server
import pytest

from controlplane import ports, testing
from controlplane.clients import prometheus
from controlplane.core import errors, vllm_metrics, witness
from jobs.performance import server_view

INTERVAL_SECONDS = 0.5


def text(done: int, running: float = 0) -> str:
    """A vLLM's /metrics after `done` requests of 0.7 s."""
    return f"""# TYPE vllm:request_success_total counter
vllm:request_success_total{{engine="0",finished_reason="stop"}} {done}
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0"}} {running}
# TYPE vllm:e2e_request_latency_seconds histogram
vllm:e2e_request_latency_seconds_bucket{{engine="0",le="0.5"}} 0
vllm:e2e_request_latency_seconds_bucket{{engine="0",le="1.0"}} {done}
vllm:e2e_request_latency_seconds_bucket{{engine="0",le="+Inf"}} {done}
vllm:e2e_request_latency_seconds_sum{{engine="0"}} {0.7 * done}
vllm:e2e_request_latency_seconds_count{{engine="0"}} {done}
"""


@dataclass
class Exposed:
    """A server's /metrics; `says` is what it answers, a status other than 200 makes a scrape fail."""

    address: str
    says: str = text(5)
    status: int = 200


@dataclass(frozen=True)
class Scraped:
    """A Prometheus and the three servers it scrapes; `still` always says the same."""

    metrics: prometheus.Prometheus
    server: Exposed
    other: Exposed
    still: Exposed

    @property
    def matcher(self) -> str:
        return f'instance="{self.server.address}"'

    def settle(self) -> datetime:
        """Once what the servers say now was scraped; the moment is then."""
        assert any(server_view.settle(self.metrics.address) for _ in range(20)), "no scrape in 15 s"
        return datetime.now(UTC)

    def saw(self, claim: witness.Claim, matcher: str | None = None, sleep: server_view.Sleep = time.sleep) -> witness.Witness:
        return server_view.from_prometheus(claim, self.metrics, self.matcher if matcher is None else matcher, sleep=sleep)


@dataclass
class Slept:
    """Sleeps, and knows how long."""

    seconds: float = 0.0

    def __call__(self, seconds: float) -> None:
        self.seconds += seconds
        time.sleep(seconds)


@contextlib.contextmanager
def exposed() -> Iterator[Exposed]:
    with chat_server.running() as server:
        one = Exposed(server.address.removeprefix("http://"))
        server.reply = lambda path, body: chat_server.Reply(one.status, (one.says.encode(),), {"Content-Type": "text/plain"})
        yield one


@pytest.fixture(scope="module")
def scraped(start_prometheus) -> Iterator[Scraped]:  # type: ignore[no-untyped-def]
    with exposed() as server, exposed() as other, exposed() as still:
        address = start_prometheus({"vllm": [server.address, other.address, still.address]}, f"{INTERVAL_SECONDS * 1000:.0f}ms")
        with contextlib.closing(prometheus.Prometheus(address)) as metrics:
            one = Scraped(metrics, server, other, still)
            deadline = time.monotonic() + 20
            while len(_scrapes(one)) < 3:
                assert time.monotonic() < deadline, "Prometheus scraped nothing in 20 s"
                time.sleep(0.1)
            yield one


@pytest.fixture(autouse=True)
def _quiet(request: pytest.FixtureRequest) -> None:
    """Each test finds both servers as they were."""
    if "scraped" in request.fixturenames:
        scraped: Scraped = request.getfixturevalue("scraped")
        for server in (scraped.server, scraped.other):
            server.says, server.status = text(5), 200


def _scrapes(one: Scraped) -> tuple[tuple[float, float], ...]:
    now = datetime.now(UTC)
    found = one.metrics.samples(f"{vllm_metrics.FINISHED}{{{one.matcher}}}", now - timedelta(minutes=5), now)
    return found[0].points if found else ()


def claim(started_at: datetime, sent: int = 20, ended_at: datetime | None = None) -> witness.Claim:
    return witness.Claim(started_at, ended_at or datetime.now(UTC), sent, sent, most_in_flight=4)


@pytest.mark.real
def test_it_counts_exactly_and_waits_for_the_one_scrape_that_is_missing(scraped: Scraped) -> None:
    started = scraped.settle()
    scraped.server.says = text(15, running=3)
    time.sleep(2 * INTERVAL_SECONDS)
    scraped.server.says = text(25)
    slept = Slept()
    seen = scraped.saw(claim(started), sleep=slept)
    assert 0 < slept.seconds < 2 * INTERVAL_SECONDS
    assert (seen.agreement, seen.finished, seen.notes) == (witness.Agreement.AGREES, 20.0, ())
    assert seen.quantiles["p95_latency_seconds"] == witness.Quantile(0.5, 1.0, pytest.approx(0.975))
    assert seen.values["mean_latency_seconds"] == pytest.approx(0.7)
    assert seen.values["max_running_requests"] == 3.0
    assert seen.source == f"prometheus {scraped.metrics.address}"


@pytest.mark.real
def test_requests_of_others_are_found(scraped: Scraped) -> None:
    started = scraped.settle()
    scraped.server.says = text(26)
    seen = scraped.saw(claim(started))
    assert (seen.agreement, seen.finished) == (witness.Agreement.CONTAMINATED, 21.0)


@pytest.mark.real
def test_another_server_s_traffic_counts_unless_a_matcher_leaves_it_out(scraped: Scraped) -> None:
    started = scraped.settle()
    scraped.server.says, scraped.other.says = text(25), text(99)
    assert scraped.saw(claim(started)).agreement is witness.Agreement.AGREES
    assert scraped.saw(claim(started), matcher="").agreement is witness.Agreement.CONTAMINATED
    assert scraped.saw(claim(started), matcher=f'{{instance="{scraped.other.address}"}}').finished == 94.0


@pytest.mark.real
def test_another_server_s_metrics_alone_do_not_confirm_a_test(scraped: Scraped) -> None:
    started = scraped.settle()
    scraped.server.says = text(25)
    seen = scraped.saw(claim(started), matcher=f'instance="{scraped.other.address}"')
    assert (seen.agreement, seen.finished) == (witness.Agreement.MISSING, 0.0)


@pytest.mark.real
def test_a_restart_leaves_no_count(scraped: Scraped) -> None:
    started = scraped.settle()
    scraped.server.says = text(2)
    scraped.settle()
    scraped.server.says = text(25)
    seen = scraped.saw(claim(started))
    assert (seen.agreement, seen.finished, seen.quantiles) == (witness.Agreement.UNKNOWN, None, {})
    assert "restarted" in seen.notes[0]


@pytest.mark.real
def test_a_test_of_which_it_saw_only_the_second_half(scraped: Scraped) -> None:
    seen = scraped.saw(claim(datetime.now(UTC) - timedelta(hours=1)), matcher=f'instance="{scraped.still.address}"')
    assert (seen.agreement, seen.finished, seen.quantiles) == (witness.Agreement.MISSING, None, {})
    assert "only part" in seen.notes[0]


@pytest.mark.real
def test_scrapes_that_fail_after_the_test_are_waited_for_in_vain_but_not_long(scraped: Scraped) -> None:
    started = scraped.settle()
    time.sleep(INTERVAL_SECONDS)
    scraped.server.status = 500
    time.sleep(INTERVAL_SECONDS)
    slept = Slept()
    seen = scraped.saw(claim(started), sleep=slept)
    assert INTERVAL_SECONDS < slept.seconds < 2 * INTERVAL_SECONDS
    assert (seen.agreement, seen.finished) == (witness.Agreement.MISSING, None)


@pytest.mark.real
@pytest.mark.parametrize(
    "says", [text(25).replace("} 25\n", "} NaN\n"), text(25).replace("request_success", "something_else")], ids=["no number", "gone"]
)
def test_a_count_that_is_no_number_is_no_count(scraped: Scraped, says: str) -> None:
    started = scraped.settle()
    scraped.server.says = says
    time.sleep(INTERVAL_SECONDS)
    seen = scraped.saw(claim(started))
    assert seen.finished is None
    assert seen.agreement in (witness.Agreement.UNKNOWN, witness.Agreement.MISSING)
    assert all(math.isfinite(value) for value in seen.values.values())


@pytest.mark.real
def test_a_server_that_nobody_scrapes(scraped: Scraped) -> None:
    slept = Slept()
    seen = scraped.saw(claim(datetime.now(UTC)), matcher='instance="nobody"', sleep=slept)
    assert slept.seconds == 0, "who is not scraped now will not be soon"
    assert (seen.agreement, seen.finished) == (witness.Agreement.UNKNOWN, None)
    assert "no vLLM metrics" in seen.notes[0]


@pytest.mark.real
@pytest.mark.parametrize("ahead_seconds", [-3600, -5, 5, 3600])
def test_a_clock_of_ours_that_is_wrong_changes_no_count(scraped: Scraped, ahead_seconds: float) -> None:
    """Prometheus dates its samples by its own clock; the test's times are put onto it."""

    def ours() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead_seconds)

    scraped.settle()
    started = ours()
    scraped.server.says = text(25)
    seen = server_view.from_prometheus(claim(started, ended_at=ours()), scraped.metrics, scraped.matcher, clock=ours)
    assert (seen.agreement, seen.finished) == (witness.Agreement.AGREES, 20.0)
    assert f"{-ahead_seconds:+.1f} s from ours" in seen.notes[0]


@pytest.mark.real
def test_a_matcher_that_cannot_be_read_is_said(scraped: Scraped) -> None:
    seen = watched(scraped.metrics.address, matcher="pod~=x")
    assert seen.agreement is witness.Agreement.AGREES
    assert "parse error" in seen.notes[0]


@pytest.mark.real
def test_what_ran_just_before_is_told_from_the_test_by_the_server_s_own_counters(scraped: Scraped) -> None:
    """Scrapes enclose more than the test; the counters were read right around it."""
    scraped.settle()
    scraped.server.says = text(8)
    started = datetime.now(UTC)
    scraped.server.says = text(28)
    seen = server_view.watch(
        claim(started), text(8), text(28), vllm_address="here", prometheus_url=scraped.metrics.address, matcher=scraped.matcher
    )
    assert (seen.source, seen.agreement, seen.finished) == ("vllm here/metrics", witness.Agreement.AGREES, 20.0)
    assert "3 more than the test sent" in " ".join(seen.notes)


def watched(prometheus_url: str, matcher: str = "") -> witness.Witness:
    """A test whose server counted just what was sent."""
    now = datetime.now(UTC)
    return server_view.watch(claim(now), text(5), text(25), vllm_address="here", prometheus_url=prometheus_url, matcher=matcher)


def matrix(result: object) -> dict[str, object]:
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


CLOCK = {"status": "success", "data": {"resultType": "scalar", "result": [1.0, "1.0"]}}
# name: (what answers every query, what the note says)
FAULTS: dict[str, tuple[chat_server.Reply, str]] = {
    "503 in JSON": (chat_server.as_json({"status": "error", "error": "overloaded"}, 503), "503, overloaded"),
    "502 in HTML": (chat_server.Reply(502, (b"<html>Bad gateway</html>",)), "502"),
    "HTML": (chat_server.Reply(200, (b"<html>Sign in</html>",)), "not in JSON"),
    "a redirect to a sign-in": (chat_server.Reply(302, (), {"Location": "/login"}), "not in JSON"),
    "401": (chat_server.as_json({"error": "who are you?"}, 401), "who are you"),
    "422": (chat_server.as_json({"status": "error", "error": "too many samples"}, 422), "too many samples"),
    "nothing": (chat_server.Reply(200), "not in JSON"),
    "no text": (chat_server.Reply(200, (b"\xff\xfe\x00",)), "not in JSON"),
    "a list": (chat_server.as_json([1]), "refused"),
    "success without data": (chat_server.as_json({"status": "success"}), "not series"),
    "no clock": (chat_server.as_json(matrix([])), "does not tell its time"),
    "a clock of 1970": (chat_server.as_json(CLOCK), "its clock is"),
    "series without values": (chat_server.as_json(matrix([{"metric": {}}])), "not series"),
    "labels that are none": (chat_server.as_json(matrix([{"metric": "x", "values": [[1, "1"]]}])), "not series"),
    "values that are none": (chat_server.as_json(matrix([{"metric": {}, "values": [[1, "x"]]}])), "not series"),
    "silence": (chat_server.Reply(hangs=True), "no answer in time"),
}


@pytest.mark.parametrize(("reply", "note"), FAULTS.values(), ids=FAULTS)
def test_whatever_prometheus_answers_the_server_s_own_counters_are_there(reply: chat_server.Reply, note: str) -> None:
    with chat_server.running() as server, contextlib.closing(prometheus.Prometheus(server.address, read_seconds=0.3)) as metrics:
        server.reply = lambda path, body: reply
        seen = server_view.beside(claim(datetime.now(UTC)), watched(""), metrics)
    assert (seen.source, seen.agreement, seen.finished) == ("vllm here/metrics", witness.Agreement.AGREES, 20.0)
    assert note in seen.notes[0]
    assert server.address in seen.notes[0]


def test_an_answer_that_never_ends_is_given_up() -> None:
    def slowly() -> Iterator[bytes]:
        while True:
            time.sleep(0.05)
            yield b" "

    with chat_server.running() as server:
        server.reply = lambda path, body: chat_server.Reply(pieces=slowly())  # type: ignore[arg-type]
        with contextlib.closing(prometheus.Prometheus(server.address, answer_seconds=0.3)) as metrics:
            before = time.monotonic()
            seen = server_view.beside(claim(datetime.now(UTC)), watched(""), metrics)
            assert time.monotonic() - before < 20
    assert "no answer in time" in seen.notes[0]


@pytest.mark.parametrize("address", [chat_server.NOBODY, "nonsense", "http://[", "ftp://x", "http://no-such-host.invalid:9090"])
def test_an_address_where_no_prometheus_can_be_is_named(address: str) -> None:
    seen = watched(address)
    assert (seen.source, seen.agreement) == ("vllm here/metrics", witness.Agreement.AGREES)
    assert "own counters are believed instead" in seen.notes[0]
    assert not server_view.settle(address)


def test_a_password_in_the_address_is_told_to_nobody() -> None:
    seen = watched(chat_server.NOBODY.replace("http://", "http://me:secret@"))
    assert "secret" not in json.dumps(witness.to_record(seen))


def test_without_prometheus_the_server_s_own_counters_speak() -> None:
    seen = watched("")
    assert (seen.source, seen.agreement, seen.finished, seen.notes) == ("vllm here/metrics", witness.Agreement.AGREES, 20.0, ())
    assert "max_running_requests" not in seen.values, "nobody looked while the test ran"


@pytest.mark.parametrize(
    ("before", "after", "agreement", "note"),
    [
        ("<html>", text(25), "unknown", "not Prometheus' text format"),
        (text(5), "", "missing", "only part"),
        ("", "", "unknown", "no vLLM metrics"),
        (text(25), text(5), "unknown", "restarted"),
        ("up 1", "up 1", "unknown", "no vLLM metrics"),
    ],
)
def test_readings_that_say_nothing(before: str, after: str, agreement: str, note: str) -> None:
    seen = server_view.from_readings(claim(datetime.now(UTC)), before, after, "here")
    assert seen.agreement.value == agreement
    assert note in " ".join(seen.notes)


def test_a_clock_that_goes_backwards_in_a_test_loses_no_count() -> None:
    now = datetime.now(UTC)
    seen = server_view.from_readings(replace(claim(now), ended_at=now - timedelta(hours=1)), text(5), text(25), "here")
    assert (seen.agreement, seen.finished) == (witness.Agreement.AGREES, 20.0)


@pytest.mark.parametrize(
    ("scrapes", "interval", "longest"),
    [((-30, -20, -10), 10, 15), ((-120, -60), 60, 90), ((-100, -50, -49), 25.5, 38.25), ((-10,), 15, 22.5), ((), 0, 0)],
    ids=["10 s", "a minute", "uneven", "one scrape yet", "none"],
)
def test_it_waits_one_and_a_half_intervals_at_most(scrapes: tuple[float, ...], interval: float, longest: float) -> None:
    slept: list[float] = []
    metrics = fake(*scrapes)
    assert not server_view.await_scrape(metrics, testing.EPOCH, testing.EPOCH, sleep=slept.append)
    assert longest <= sum(slept) <= longest + 5


def test_it_stops_when_the_scrape_is_there() -> None:
    metrics, slept = fake(-20, -10), list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        metrics.series = fake(-20, -10, 1).series

    assert server_view.await_scrape(metrics, testing.EPOCH, testing.EPOCH, sleep=sleep)
    assert slept == [2.5]


def fake(*at_seconds: float) -> testing.FakeMetrics:
    points = tuple((testing.EPOCH.timestamp() + second, 1.0) for second in at_seconds)
    found = [ports.Series({"__name__": vllm_metrics.FINISHED}, points)] if points else []
    return testing.FakeMetrics(series={vllm_metrics.selector((vllm_metrics.FINISHED,)): found})


@pytest.mark.parametrize(
    ("answers", "expected", "reads"),
    [
        ([text(25)], text(25), 1),
        ([text(23), text(24), text(25)], text(25), 3),
        ([text(26)], text(26), 1),
        ([text(20)], text(20), 5),
        ([text(24), errors.Unreachable("vLLM", "here", "it stopped")], "", 2),
    ],
    ids=["counted", "counted a little later", "others were there", "never counted", "the server stopped"],
)
def test_the_last_reading_waits_a_little_for_the_last_count(answers: list[str | Exception], expected: str, reads: int) -> None:
    told, slept = list[str](), list[float]()

    def read() -> str:
        answer = answers[min(len(told), len(answers) - 1)]
        told.append(str(answer))
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert server_view.read_after(read, claim(datetime.now(UTC)), text(5), sleep=slept.append) == expected
    assert len(told) == reads
    assert sum(slept) <= 1.0
