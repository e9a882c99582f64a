"""One vLLM replica over HTTP: what it serves, loading and unloading adapters, whole and streamed answers. It knows nothing of aliases."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from controlplane import ports
from controlplane.core import errors, fingerprints, serving_environment

DONE = "[DONE]"
# Less than servers keep an idle connection (uvicorn: 5 s), so that no request meets one that is just being closed.
IDLE_SECONDS = 2.0


class VllmReplica:
    """One server process. Close it, or let it live as long as the process.

    Args:
        connect_seconds, read_seconds: a dead replica is named within the larger of the two.
        answer_seconds: the longest silence while an answer is made or an adapter is loaded; a CPU needs its time.
        api_key: sent as bearer token when the server was started with one.
    """

    def __init__(
        self, address: str, *, connect_seconds: float = 5, read_seconds: float = 10, answer_seconds: float = 120, api_key: str = ""
    ) -> None:
        self.address = address.rstrip("/")
        self._answer_seconds = httpx.Timeout(answer_seconds, connect=connect_seconds)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # Building it reads the certificate store, too slow to do in front of every stream.
        self._certificates = httpx.create_ssl_context()
        self._http = httpx.Client(
            base_url=self.address,
            headers=self._headers,
            verify=self._certificates,
            timeout=httpx.Timeout(read_seconds, connect=connect_seconds),
            limits=httpx.Limits(keepalive_expiry=IDLE_SECONDS),
            follow_redirects=True,
        )
        self._streaming: httpx.AsyncClient | None = None

    def close(self) -> None:
        self._http.close()

    def is_healthy(self) -> bool:
        try:
            return self._http.get("/health").is_success
        except httpx.TransportError:
            return False

    def served(self) -> list[ports.Served]:
        entries = self._json(self._checked(self._send("GET", "/v1/models")))["data"]
        return [ports.Served(entry["id"], entry.get("root") or "", entry.get("parent") or "") for entry in entries]

    def load(self, slot: str, directory: Path) -> ports.Swap:
        """Does nothing when the slot answers from that directory already.

        A server with Gatewright's plugin finds the directory in the slot's pointer file, which must be written before. Any other server is
        told the directory; between unload and load its slot answers 404. It is never told to replace in place: that keeps re-reading
        the adapter from disk.
        """
        started = time.perf_counter()
        if self._root(slot) == str(directory):
            return ports.Swap(str(directory), time.perf_counter() - started)
        self.unload(slot)
        # The plugin has swapped by now; a plain resolver does so at the next request; a server without either must be told.
        if self._root(slot) == str(directory):
            return ports.Swap(str(directory), time.perf_counter() - started)
        warning = ""
        if not self._answers(slot):
            body = {"lora_name": slot, "lora_path": str(directory)}
            self._checked(self._send("POST", "/v1/load_lora_adapter", json=body, timeout=self._answer_seconds))
            warning = f"{self.address} has no Gatewright plugin: while the adapter was loaded, {slot} answered 404."
        if (root := self._root(slot)) != str(directory):
            raise errors.OutsideError("vLLM", self.address, f"{slot} answers from {root or 'nowhere'} after loading {directory}")
        return ports.Swap(root, time.perf_counter() - started, warning)

    def unload(self, slot: str) -> None:
        """Safe to repeat: a slot that is not served is left alone."""
        response = self._send("POST", "/v1/unload_lora_adapter", json={"lora_name": slot}, timeout=self._answer_seconds)
        if response.status_code != httpx.codes.NOT_FOUND:
            self._checked(response)

    def chat(self, name: str, messages: Sequence[Mapping[str, str]], *, max_tokens: int, temperature: float = 0.0) -> ports.Answer:
        """Raises NotFound when the replica serves no such name."""
        started = time.perf_counter()
        request = _request(name, messages, max_tokens, temperature)
        response = self._send("POST", "/v1/chat/completions", json=request, timeout=self._answer_seconds)
        body = self._json(self._checked(response, name))
        choice, usage = body["choices"][0], body["usage"]
        text, reason = choice["message"]["content"] or "", choice["finish_reason"] or ""
        return ports.Answer(text, reason, usage["prompt_tokens"], usage["completion_tokens"], None, time.perf_counter() - started)

    @asynccontextmanager
    async def kept_open(self) -> AsyncIterator[VllmReplica]:
        """The same replica, whose streams follow each other on one connection."""
        same = copy.copy(self)
        async with self._connection() as same._streaming:
            yield same

    async def stream(
        self, name: str, messages: Sequence[Mapping[str, str]], *, max_tokens: int, temperature: float = 0.0
    ) -> AsyncIterator[ports.Delta]:
        """Raises NotFound when the replica serves no such name."""
        request = {**_request(name, messages, max_tokens, temperature), "stream": True, "stream_options": {"include_usage": True}}
        answer = _Growing(started=time.perf_counter())
        try:
            async with (
                self._own_or_kept() as http,
                http.stream("POST", "/v1/chat/completions", json=request, timeout=self._answer_seconds) as response,
            ):
                if not response.is_success:
                    await response.aread()
                    self._checked(response, name)
                async for line in response.aiter_lines():
                    if text := answer.take(self._event(line)):
                        yield ports.Delta(text)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if not answer.is_done:
            raise errors.Unreachable("vLLM", self.address, "the answer broke off")
        yield ports.Delta("", answer.finished())

    def fingerprint(self, name: str) -> fingerprints.Fingerprint:
        """Greedy answers to the fixed prompts, all in one request. Raises NotFound when the replica serves no such name."""
        prompts = {"prompt": list(fingerprints.PROMPTS), "max_tokens": fingerprints.TOKENS, "temperature": 0}
        request = {"model": name, **prompts, "logprobs": fingerprints.RIVALS}
        response = self._send("POST", "/v1/completions", json=request, timeout=self._answer_seconds)
        choices = sorted(self._json(self._checked(response, name))["choices"], key=lambda choice: choice["index"])
        return fingerprints.Fingerprint(f"vllm {self.version()}", tuple(_tokens(choice["logprobs"]) for choice in choices))

    def metrics_text(self) -> str:
        """The server's metrics in Prometheus' text format."""
        return self._checked(self._send("GET", "/metrics")).text

    def version(self) -> str:
        """vLLM's own version."""
        return str(self._json(self._checked(self._send("GET", "/version")))["version"])

    def environment(self) -> dict[str, str]:
        """What the speed of its answers depends on, as far as the server tells."""
        models = self._json(self._checked(self._send("GET", "/v1/models")))["data"]
        return serving_environment.read(self.version(), models, self.metrics_text())

    def _own_or_kept(self) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        return nullcontext(self._streaming) if self._streaming else self._connection()

    def _connection(self) -> httpx.AsyncClient:
        limits = httpx.Limits(keepalive_expiry=IDLE_SECONDS)
        return httpx.AsyncClient(base_url=self.address, headers=self._headers, verify=self._certificates, limits=limits)

    def _answers(self, slot: str) -> bool:
        """One token, which makes a server that can find the adapter by itself load it."""
        try:
            self.chat(slot, [{"role": "user", "content": "1"}], max_tokens=1)
        except errors.NotFound:
            return False
        return True

    def _root(self, slot: str) -> str:
        return next((served.root for served in self.served() if served.name == slot), "")

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _checked(self, response: httpx.Response, name: str = "") -> httpx.Response:
        if response.is_success:
            return response
        if name and response.status_code == httpx.codes.NOT_FOUND:
            raise errors.NotFound(f"vLLM at {self.address} serves no {name!r}.", hint="Load the adapter into that slot first.")
        raise errors.OutsideError("vLLM", self.address, f"{response.status_code} {_complaint(response.text)}")

    def _json(self, response: httpx.Response) -> Any:
        return self._parsed(response.text)

    def _event(self, line: str) -> Any:
        """The JSON of one server-sent event; None for blank lines and comments."""
        field, _, data = line.partition(":")
        if field != "data":
            return None
        if data.strip() == DONE:
            return DONE
        event = self._parsed(data)
        if "error" in event:
            raise errors.OutsideError("vLLM", self.address, _complaint(data))
        return event

    def _parsed(self, text: str) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise errors.OutsideError("vLLM", self.address, f"it did not answer in JSON: {text[:100]!r}") from error

    def _unreachable(self, error: httpx.TransportError) -> errors.Unreachable:
        reason = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error) or type(error).__name__
        return errors.Unreachable("vLLM", self.address, reason)


@dataclass
class _Growing:
    """An answer while it streams in."""

    started: float
    text: str = ""
    finish_reason: str = ""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    first_token_seconds: float | None = None
    is_done: bool = False

    def take(self, event: Any) -> str:
        """The event's new text; the first that is not empty stops the clock of the first token."""
        if event is None or event == DONE:
            self.is_done = self.is_done or event == DONE
            return ""
        if usage := event.get("usage"):
            self.prompt_tokens, self.answer_tokens = usage["prompt_tokens"], usage["completion_tokens"]
        if not event["choices"]:
            return ""
        choice = event["choices"][0]
        text: str = choice["delta"].get("content") or ""
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        if text and self.first_token_seconds is None:
            self.first_token_seconds = time.perf_counter() - self.started
        self.text += text
        return text

    def finished(self) -> ports.Answer:
        total = time.perf_counter() - self.started
        return ports.Answer(self.text, self.finish_reason, self.prompt_tokens, self.answer_tokens, self.first_token_seconds, total)


def _tokens(logprobs: Mapping[str, Any]) -> tuple[fingerprints.Token, ...]:
    columns = zip(logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True)
    return tuple(fingerprints.Token(text, logprob, rivals) for text, logprob, rivals in columns)


def _request(name: str, messages: Sequence[Mapping[str, str]], max_tokens: int, temperature: float) -> dict[str, object]:
    return {"model": name, "messages": [dict(message) for message in messages], "max_tokens": max_tokens, "temperature": temperature}


def _complaint(text: str) -> str:
    """vLLM's own words out of its JSON error, or the start of whatever came."""
    try:
        body = json.loads(text)
        message = str(body["error"]["message"])
    except (json.JSONDecodeError, KeyError, TypeError):
        message = text
    return message.strip().rstrip(".")[:300]
