"""A judge behind any OpenAI-compatible chat endpoint, through the openai package. `core.judging` and `core.pairwise` word and read."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import openai
from openai.types import chat

from controlplane.core import datasets, errors, judging, pairwise

# Finding out that nobody listens must take under 10 s: two attempts of at most 4 s and a short pause.
CONTACT_SECONDS = 4.0
MAX_REPLY_TOKENS = 256
SYSTEM = "The judge"


class _Refusal(Exception):
    """The judge will not answer this one question."""


class OpenAiJudge:
    """Grades through `POST /v1/chat/completions` with structured output. Safe to call from several threads.

    Rate limits, server errors and time-outs are tried again with growing pauses; what still fails then is ours to raise.
    """

    def __init__(self, base_url: str, model: str = "", *, api_key: str = "", answer_seconds: float = 120.0, max_retries: int = 4) -> None:
        """
        Args:
            model: empty means the first one the server lists.
            api_key: empty means OPENAI_API_KEY, or none for a server that asks for none.
        """
        self.address = base_url.rstrip("/")
        self._asked_model = model
        self._listed: tuple[str, ...] | None = None
        self._lock = threading.Lock()
        self._answer_seconds = answer_seconds
        self._client = openai.OpenAI(
            base_url=self.address if self.address.endswith("/v1") else f"{self.address}/v1",
            api_key=api_key or os.environ.get("OPENAI_API_KEY") or "none",
            timeout=answer_seconds,
            max_retries=max_retries,
        )

    @property
    def name(self) -> str:
        return f"llm judge ({self.model()})"

    @property
    def identity(self) -> str:
        """What may change its grades, besides the question. Raises as `model` does."""
        return f"{_without_secret(self.address)} {self.model()} temperature=0 max_tokens={MAX_REPLY_TOKENS}"

    def model(self) -> str:
        """The model that grades.

        Raises:
            Unreachable: nobody answers.
            NotFound: the server does not list the wanted model, or lists none.
        """
        listed = self.listed()
        if self._asked_model and self._asked_model not in listed:
            raise errors.NotFound(
                f"{SYSTEM} at {self.address} serves no model {self._asked_model!r}.", hint=f"It lists: {', '.join(listed) or 'nothing'}."
            )
        if not listed:
            raise errors.NotFound(f"{SYSTEM} at {self.address} lists no model.", hint="Start it with a model, or name another judge.")
        return self._asked_model or listed[0]

    def listed(self) -> tuple[str, ...]:
        """The names its server answers to; asked once. Raises Unreachable."""
        with self._lock, self._translated():
            if self._listed is None:
                quick = self._client.with_options(timeout=CONTACT_SECONDS, max_retries=1)
                self._listed = tuple(model.id for model in quick.models.list())
            return self._listed

    def grade(self, row: datasets.Row, answer: str) -> judging.Grade:
        """Unscored when the judge's reply cannot be read, or when it refuses this one question (too long for it, say).

        Raises:
            Unreachable: it does not answer, after retries.
            OutsideError: it refuses whatever is asked (no access, no such route).
        """
        try:
            return judging.parse_reply(self._reply(judging.messages(row, answer), judging.REPLY_SCHEMA))
        except _Refusal as refusal:
            return judging.Grade("", str(refusal))

    def prefer(self, row: datasets.Row, first: str, second: str) -> pairwise.Preference:
        """As `grade`, for which of two answers is better."""
        try:
            return pairwise.parse_reply(self._reply(pairwise.messages(row, first, second), pairwise.REPLY_SCHEMA))
        except _Refusal as refusal:
            return pairwise.Preference("", str(refusal))

    def close(self) -> None:
        self._client.close()

    def _reply(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, object]) -> str:
        model = self.model()
        try:
            with self._translated():
                return self._ask(model, messages, schema)
        except (openai.UnprocessableEntityError, openai.BadRequestError) as refusal:
            raise _Refusal(f"The judge refused the question: {_first_line(refusal)}") from refusal

    def _ask(self, model: str, messages: Sequence[Mapping[str, str]], schema: Mapping[str, object]) -> str:
        """With structured output; without, where the server refuses that."""
        wanted = {"type": "json_schema", "json_schema": {"name": "finding", "strict": True, "schema": schema}}
        body = {"model": model, "messages": messages, "temperature": 0.0, "max_tokens": MAX_REPLY_TOKENS}
        try:
            reply = self._completion({**body, "response_format": wanted})
        except openai.BadRequestError:
            reply = self._completion(body)
        return (reply.choices[0].message.content if reply.choices else "") or ""

    def _completion(self, body: Mapping[str, object]) -> chat.ChatCompletion:
        """Through `post`: `chat.completions.create` rewrites the whole body by its types first, which takes as long as all the rest."""
        return self._client.post("/chat/completions", body=body, cast_to=chat.ChatCompletion)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except openai.APITimeoutError as error:
            raise errors.Unreachable(SYSTEM, self.address, f"no reply within {self._answer_seconds:g} s") from error
        except openai.APIConnectionError as error:
            raise errors.Unreachable(SYSTEM, self.address, str(error.__cause__ or error)) from error
        except (openai.RateLimitError, openai.InternalServerError) as error:
            raise errors.Unreachable(SYSTEM, self.address, f"HTTP {error.status_code} after every retry") from error
        except (openai.BadRequestError, openai.UnprocessableEntityError):
            raise
        except openai.APIStatusError as error:
            hint = "Check the address and the API key." if error.status_code in (401, 403, 404) else ""
            raise errors.OutsideError(SYSTEM, self.address, f"HTTP {error.status_code}: {_first_line(error)}", hint=hint) from error
        except openai.APIError as error:
            raise errors.OutsideError(SYSTEM, self.address, f"unreadable answer: {_first_line(error)}") from error


def _without_secret(url: str) -> str:
    """What may be written down: an address may carry a password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _first_line(error: openai.APIError) -> str:
    return (str(error).splitlines() or ["no reason given"])[0][:300]
