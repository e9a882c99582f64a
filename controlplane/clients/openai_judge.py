"""A judge behind any OpenAI-compatible chat endpoint, through the openai package. It asks; `core.judging` words and reads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import openai
from openai.types.chat import ChatCompletionMessageParam

from controlplane.core import datasets, errors, judging

# Finding out that nobody listens must take under 10 s: two attempts of at most 4 s and a short pause.
CONTACT_SECONDS = 4.0
MAX_REPLY_TOKENS = 256
SYSTEM = "The judge"


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
        self._found_model = ""
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
        return f"{self.address} {self.model()} temperature=0 max_tokens={MAX_REPLY_TOKENS}"

    def model(self) -> str:
        """The model that grades; asks the server once.

        Raises:
            Unreachable: nobody answers.
            NotFound: the server does not list the wanted model, or lists none.
        """
        with self._lock:
            if not self._found_model:
                self._found_model = self._pick_model()
            return self._found_model

    def grade(self, row: datasets.Row, answer: str) -> judging.Grade:
        """Unscored when the judge's reply cannot be read, or when it refuses this one question (too long for it, say).

        Raises:
            Unreachable: it does not answer, after retries.
            OutsideError: it refuses whatever is asked (no access, no such route).
        """
        model, messages = self.model(), _messages(row, answer)
        try:
            with self._translated():
                return judging.parse_reply(self._ask(model, messages))
        except openai.UnprocessableEntityError as refusal:
            return judging.Grade("", f"The judge refused the question: {_first_line(refusal)}")
        except openai.BadRequestError as refusal:
            return judging.Grade("", f"The judge refused the question: {_first_line(refusal)}")

    def close(self) -> None:
        self._client.close()

    def _ask(self, model: str, messages: list[ChatCompletionMessageParam]) -> str:
        """With structured output; without, where the server refuses that."""
        try:
            reply = self._client.chat.completions.create(
                model=model,
                messages=messages,
                temperature=0.0,
                max_tokens=MAX_REPLY_TOKENS,
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "grade", "strict": True, "schema": judging.REPLY_SCHEMA},
                },
            )
        except openai.BadRequestError:
            reply = self._client.chat.completions.create(model=model, messages=messages, temperature=0.0, max_tokens=MAX_REPLY_TOKENS)
        return (reply.choices[0].message.content if reply.choices else "") or ""

    def _pick_model(self) -> str:
        with self._translated():
            listed = [model.id for model in self._client.with_options(timeout=CONTACT_SECONDS, max_retries=1).models.list()]
        if self._asked_model and self._asked_model not in listed:
            raise errors.NotFound(
                f"{SYSTEM} at {self.address} serves no model {self._asked_model!r}.", hint=f"It lists: {', '.join(listed) or 'nothing'}."
            )
        if not listed:
            raise errors.NotFound(f"{SYSTEM} at {self.address} lists no model.", hint="Start it with a model, or name another judge.")
        return self._asked_model or listed[0]

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


def _messages(row: datasets.Row, answer: str) -> list[ChatCompletionMessageParam]:
    system, user = judging.messages(row, answer)
    return [{"role": "system", "content": system["content"]}, {"role": "user", "content": user["content"]}]


def _first_line(error: openai.APIError) -> str:
    return (str(error).splitlines() or ["no reason given"])[0][:300]
