"""The vLLM replicas there are now: those named one by one, and those a DNS name stands for, such as a headless Kubernetes service's."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import overload
from urllib.parse import urlsplit

from controlplane import ports
from controlplane.core import errors

DNS = "dns+"
FRESH_SECONDS = 5.0

LookUp = Callable[[str, int], Sequence[str]]


def addresses_of(host: str, port: int) -> list[str]:
    """Every address behind the name, sorted. Raises OSError."""
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})


def expand(url: str, look_up: LookUp = addresses_of) -> list[str]:
    """The URL itself, or for `dns+http://name:port` one `http://address:port` for each address behind the name.

    Raises:
        InvalidInput: a dns+ address without a name or a port.
        Unreachable: the name cannot be resolved.
    """
    if not url.startswith(DNS):
        return [url]
    parts = urlsplit(url.removeprefix(DNS))
    if not parts.hostname or not parts.port:
        raise errors.InvalidInput(f"{url!r} names no host and port.", hint="Write dns+http://vllm.ml-models.svc:8000.")
    try:
        found = look_up(parts.hostname, parts.port)
    except OSError as error:
        raise errors.Unreachable("vLLM", url, error.strerror or str(error), hint="Check the service's name.") from error
    return [f"{parts.scheme}://{f'[{one}]' if ':' in one else one}:{parts.port}" for one in found]


def every(addresses: str) -> list[str]:
    """All replicas of several addresses separated by commas. Raises as `expand` does."""
    return [url for address in addresses.split(",") if address.strip() for url in expand(address.strip())]


def first(addresses: str) -> str:
    """The first replica of several addresses separated by commas. Raises as `expand` does, and InvalidInput for none."""
    for url in addresses.split(","):
        if url.strip():
            return expand(url.strip())[0]
    raise errors.InvalidInput("No vLLM server was named.", hint="Give --vllm-url=http://host:port, several separated by commas.")


class ReplicaSet(Sequence[ports.Inference]):
    """One client for each replica; names are resolved again when the last answer is older than `FRESH_SECONDS`.

    Iterate over a copy where two passes must see the same replicas.
    """

    def __init__(
        self,
        urls: Sequence[str],
        connect: Callable[[str], ports.Inference],
        look_up: LookUp = addresses_of,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._urls, self._connect, self._look_up, self._monotonic = tuple(urls), connect, look_up, monotonic
        self._clients: dict[str, ports.Inference] = {}
        self._found: list[str] = []
        self._fresh_until = float("-inf")

    def __iter__(self) -> Iterator[ports.Inference]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    @overload
    def __getitem__(self, index: int) -> ports.Inference: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ports.Inference]: ...
    def __getitem__(self, index: int | slice) -> ports.Inference | Sequence[ports.Inference]:
        return self._now()[index]

    def _now(self) -> list[ports.Inference]:
        if self._monotonic() >= self._fresh_until:
            self._found = [address for url in self._urls for address in expand(url, self._look_up)]
            self._fresh_until = self._monotonic() + FRESH_SECONDS
        for address in self._found:
            if address not in self._clients:
                self._clients[address] = self._connect(address)
        return [self._clients[address] for address in self._found]
