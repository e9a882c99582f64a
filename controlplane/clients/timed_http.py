"""HTTP/1.1 POSTs on connections that are kept, stamped where bytes enter and leave this process. It reads no answer and retries no failure.

`httpx` tells of a piece when the task that waits for it has its turn, which under load is milliseconds later; here the stamp is taken
when the event loop hands the bytes over.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import cast

import httptools

from controlplane.core import answer_stream, errors

CONNECT_SECONDS = 5.0
# No answer is that long: a server that sends on and on must not fill the memory before its deadline.
MOST_BYTES = 8 * 1024 * 1024
# A kept connection that the server had closed before it was used says so within a round trip; later, the request was read.
STALE_SECONDS = 0.25

# Classes of failure; an answer with any HTTP status is none.
TIMEOUT, CONNECTION, DISCONNECTED, PROTOCOL = "timeout", "connection", "disconnected", "protocol"


@dataclass
class Exchange:
    """One request as seen on the wire; times are `time.perf_counter()`'s. `status` is 0 while no answer has begun."""

    sent_at: float
    ended_at: float = 0.0
    status: int = 0
    pieces: list[answer_stream.Piece] = field(default_factory=list)
    failure: str = ""


class Server:
    """Where requests go. Keeps connections and reuses the one used last; close it to end them all at once.

    Args:
        api_key: sent as bearer token when the server was started with one.

    Raises:
        InvalidInput: an address that is not one.
    """

    def __init__(self, address: str, api_key: str = "") -> None:
        url = urllib.parse.urlsplit(address.rstrip("/"))
        if url.scheme not in ("http", "https") or not url.hostname:
            raise errors.InvalidInput(f"{address!r} is not the address of a server.", hint="Write it like http://127.0.0.1:8000.")
        self.address = address
        self._host, self._port = url.hostname, url.port or {"http": 80, "https": 443}[url.scheme]
        self._path = url.path
        self._certificates = ssl.create_default_context() if url.scheme == "https" else None
        self._head = f"Host: {url.netloc.rpartition('@')[2]}\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
        if api_key:
            self._head += f"Authorization: Bearer {api_key}\r\n"
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()

    def request(self, path: str, body: bytes) -> bytes:
        """The bytes of a POST."""
        return f"POST {self._path}{path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body

    async def exchange(self, request: bytes, deadline_seconds: float) -> Exchange:
        """The answer, whole, or as much as came. Every failure is told in the exchange.

        A kept connection may be closed by the server just as it is used: then the request goes out once more, on a new one.
        """
        began = time.perf_counter()
        while connection := self._kept():
            seen = await self._use(connection, request, deadline_seconds - (time.perf_counter() - began))
            if seen.status or seen.failure != DISCONNECTED or seen.ended_at - seen.sent_at > STALE_SECONDS:
                return seen
        try:
            connection = await self._connect(deadline_seconds)
        except TimeoutError:
            return Exchange(began, time.perf_counter(), failure=TIMEOUT)
        except OSError:
            return Exchange(began, time.perf_counter(), failure=CONNECTION)
        return await self._use(connection, request, deadline_seconds - (time.perf_counter() - began))

    async def open(self, count: int) -> None:
        """Until `count` connections wait to be used, so that no request has to. One that fails is left to its request to tell."""
        self._idle = [connection for connection in self._idle if connection.is_usable]
        missing = (self._connect(CONNECT_SECONDS) for _ in range(count - len(self._idle)))
        made = await asyncio.gather(*missing, return_exceptions=True)
        self._idle += [connection for connection in made if isinstance(connection, _Connection)]

    async def close(self) -> None:
        """At once; what is being answered is cut off."""
        gone = [connection.abort() for connection in self._open]
        self._idle.clear()
        if gone:
            await asyncio.wait(gone)

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        return None

    async def _use(self, connection: _Connection, request: bytes, deadline_seconds: float) -> Exchange:
        seen = await connection.exchange(request, deadline_seconds)
        if connection.is_usable:
            self._idle.append(connection)
        return seen

    async def _connect(self, deadline_seconds: float) -> _Connection:
        """Raises OSError, of which TimeoutError is one."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(min(CONNECT_SECONDS, max(0.0, deadline_seconds))):
            _, connection = await loop.create_connection(
                lambda: _Connection(loop, self._open), self._host, self._port, ssl=self._certificates
            )
        return connection


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, every: set[_Connection]) -> None:
        self.is_usable = False
        self._loop = loop
        self._every = every
        self._closed = loop.create_future()
        self._waiting: asyncio.Future[Exchange] | None = None
        self._now = 0.0
        self._begin(Exchange(0.0))

    def _begin(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._bytes = 0
        self._has_length = False

    async def exchange(self, request: bytes, deadline_seconds: float) -> Exchange:
        self._waiting = self._loop.create_future()
        deadline = self._loop.call_later(deadline_seconds, self._fail, TIMEOUT)
        self._begin(Exchange(time.perf_counter()))
        self._transport.write(request)
        try:
            return await self._waiting
        finally:
            deadline.cancel()

    def abort(self) -> asyncio.Future[None]:
        """The future is done when the connection is gone."""
        self.is_usable = False
        self._transport.abort()
        return self._closed

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # The bytes leave when they are written, not at the end of the loop's round.
        self._transport.set_write_buffer_limits(high=0)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._parser = httptools.HttpResponseParser(self)
        self._every.add(self)
        self.is_usable = True

    def data_received(self, data: bytes) -> None:
        self._now = time.perf_counter()
        self._bytes += len(data)
        if self._waiting is None or self._bytes > MOST_BYTES:
            self._fail(PROTOCOL)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(PROTOCOL)
        if not self.is_usable:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_usable = False
        self._every.discard(self)
        self._now = time.perf_counter()
        # Without a length the answer ends where the connection does.
        is_whole = error is None and self._exchange.status != 0 and not self._has_length
        self._end("" if is_whole else DISCONNECTED)
        if not self._closed.done():
            self._closed.set_result(None)

    # What the parser calls.

    def on_header(self, name: bytes, _value: bytes) -> None:
        self._has_length = self._has_length or name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self._exchange.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        self._exchange.pieces.append((self._now, data))

    def on_message_complete(self) -> None:
        self.is_usable = self._parser.should_keep_alive()
        self._end("")

    def _fail(self, failure: str) -> None:
        self._now = time.perf_counter()
        self.is_usable = False
        self._end(failure)
        self._transport.abort()

    def _end(self, failure: str) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.done():
            return
        self._exchange.ended_at, self._exchange.failure = self._now, failure
        waiting.set_result(self._exchange)
        self._begin(Exchange(0.0))
