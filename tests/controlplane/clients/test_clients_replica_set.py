"""Replicas by address and by name: scale-ups and scale-downs are seen, and clients are kept."""

from __future__ import annotations

import pytest

from controlplane import testing
from controlplane.clients import replica_set
from controlplane.core import errors


class Dns:
    def __init__(self, *found: str) -> None:
        self.found, self.asked, self.fault = list(found), 0, None

    def look_up(self, host: str, port: int) -> list[str]:
        self.asked += 1
        assert (host, port) == ("vllm.ml-models.svc", 8000)
        if self.fault:
            raise self.fault
        return self.found


class Clock:
    seconds = 0.0

    def now(self) -> float:
        return self.seconds


@pytest.fixture
def dns() -> Dns:
    return Dns("10.0.0.1", "10.0.0.2")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replicas(dns: Dns, clock: Clock) -> replica_set.ReplicaSet:
    urls = ["http://fixed:8000", "dns+http://vllm.ml-models.svc:8000"]
    return replica_set.ReplicaSet(urls, testing.FakeInference, dns.look_up, clock.now)


def addresses(replicas: replica_set.ReplicaSet) -> list[str]:
    return [replica.address for replica in replicas]


def test_each_address_behind_the_name_is_a_replica(replicas) -> None:
    assert addresses(replicas) == ["http://fixed:8000", "http://10.0.0.1:8000", "http://10.0.0.2:8000"]
    assert len(replicas) == 3
    assert replicas[0].address == "http://fixed:8000"


def test_a_scale_up_is_seen_and_clients_are_kept(replicas, dns: Dns, clock: Clock) -> None:
    before = list(replicas)
    dns.found = ["10.0.0.2", "10.0.0.3"]
    assert list(replicas) == before, "not asked again yet"
    clock.seconds += replica_set.FRESH_SECONDS
    assert addresses(replicas) == ["http://fixed:8000", "http://10.0.0.2:8000", "http://10.0.0.3:8000"]
    assert replicas[1] is before[2]
    assert dns.asked == 2


def test_a_name_that_cannot_be_resolved_is_named(replicas, dns: Dns) -> None:
    dns.fault = OSError(-2, "Name or service not known")
    with pytest.raises(errors.Unreachable, match=r"vllm\.ml-models\.svc"):
        list(replicas)


def test_an_address_of_version_six_is_bracketed() -> None:
    assert replica_set.expand("dns+http://v:1", lambda host, port: ["::1"]) == ["http://[::1]:1"]


@pytest.mark.parametrize("url", ["dns+http://", "dns+http://name", "dns+http://:8000"])
def test_a_name_without_host_or_port_is_refused(url: str) -> None:
    with pytest.raises(errors.InvalidInput, match="host and port"):
        replica_set.expand(url)


def test_a_real_name_is_looked_up() -> None:
    assert replica_set.expand("dns+http://localhost:8000")
