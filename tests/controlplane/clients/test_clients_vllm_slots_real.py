"""The plugin inside a real vLLM: slots follow their pointers, swap without a failed request, and no answer mixes two adapters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest

from controlplane.clients import slot_pointers, vllm_inference
from controlplane.core import errors

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

SLOT = "slots-live"
QUESTIONS = tuple(f"Count from {number} and say what comes next." for number in range(6))
LONG, LONG_TOKENS = "Write down the numbers from one to fifty.", 48
# More than the server has places for.
OTHERS = 9
SWAPS = 3
CLIENTS = 3


@pytest.fixture(scope="module")
def replica(vllm_server: str) -> Iterator[vllm_inference.VllmReplica]:
    client = vllm_inference.VllmReplica(vllm_server)
    yield client
    client.close()


@pytest.fixture(scope="module")
def homes(vllm_adapters_dir: Path, make_adapter: Callable[..., Path]) -> tuple[Path, Path]:
    folder = vllm_adapters_dir / "slots"
    return make_adapter(folder / "1-0123456789ab", seed=11), make_adapter(folder / "2-0123456789ab", seed=22)


def root_of(replica: vllm_inference.VllmReplica, slot: str) -> str:
    return next((served.root for served in replica.served() if served.name == slot), "")


def ask(replica: vllm_inference.VllmReplica, slot: str, question: str, max_tokens: int = 12) -> str:
    return replica.chat(slot, [{"role": "user", "content": question}], max_tokens=max_tokens).text


def test_a_slot_nobody_loaded_answers_from_its_pointer(replica, vllm_adapters_dir, homes) -> None:
    slot_pointers.write(vllm_adapters_dir, "slots-candidate", homes[0])
    assert ask(replica, "slots-candidate", QUESTIONS[0])
    assert root_of(replica, "slots-candidate") == str(homes[0])


def test_a_slot_without_a_pointer_is_not_found(replica) -> None:
    with pytest.raises(errors.NotFound):
        ask(replica, "slots-unknown", QUESTIONS[0])


def test_a_swap_says_nothing_of_a_missing_plugin(replica, vllm_adapters_dir, homes) -> None:
    for home in (*homes, homes[0]):
        slot_pointers.write(vllm_adapters_dir, SLOT, home)
        swap = replica.load(SLOT, home)
        assert (swap.root, swap.warning) == (str(home), "")
    assert [served.name for served in replica.served()].count(SLOT) == 1


def test_a_swap_to_files_that_cannot_be_loaded_keeps_the_old(replica, vllm_adapters_dir, homes) -> None:
    broken = vllm_adapters_dir / "slots" / "3-0123456789ab"
    broken.mkdir(exist_ok=True)
    (broken / "adapter_config.json").write_text("{}")
    slot_pointers.write(vllm_adapters_dir, SLOT, homes[0])
    replica.load(SLOT, homes[0])
    slot_pointers.write(vllm_adapters_dir, SLOT, broken)
    with pytest.raises(errors.OutsideError):
        replica.load(SLOT, broken)
    assert root_of(replica, SLOT) == str(homes[0])
    slot_pointers.write(vllm_adapters_dir, SLOT, homes[0])


def test_no_request_fails_and_no_answer_mixes_two_adapters_while_slots_swap(replica, vllm_server, vllm_adapters_dir, homes) -> None:
    slot_pointers.write(vllm_adapters_dir, SLOT, homes[0])
    replica.load(SLOT, homes[0])
    alone = [{question: alone_answer(replica, home, question) for question in QUESTIONS} for home in homes]
    seen: list[tuple[str, str]] = []
    faults: list[Exception] = []
    stop = threading.Event()

    def client(number: int) -> None:
        with openai.OpenAI(base_url=f"{vllm_server}/v1", api_key="none", timeout=120, max_retries=0) as server:
            for turn in range(1_000_000):
                if stop.is_set():
                    return
                question = QUESTIONS[(number + turn) % len(QUESTIONS)]
                try:
                    seen.append((question, streamed(server, question)))
                except Exception as error:  # noqa: BLE001 - whatever went wrong is the finding
                    faults.append(error)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for swap in range(SWAPS):
        home = homes[(swap + 1) % 2]
        slot_pointers.write(vllm_adapters_dir, SLOT, home)
        replica.load(SLOT, home)
        assert ask(replica, SLOT, QUESTIONS[0]) == alone[(swap + 1) % 2][QUESTIONS[0]]
    stop.set()
    for thread in clients:
        thread.join()
    assert faults == []
    assert len(seen) >= SWAPS
    strange = [(question, answer) for question, answer in seen if answer not in (alone[0][question], alone[1][question])]
    assert strange == []


def test_an_answer_begun_before_a_swap_is_finished_by_its_own_adapter(replica, vllm_server, vllm_adapters_dir, homes) -> None:
    """Old and new adapter answer in one batch, under one name, while others want their places in the server's table."""
    alone = [alone_answer(replica, home, LONG, LONG_TOKENS) for home in homes]
    assert alone[0] != alone[1]
    messages = [{"role": "user", "content": LONG}]
    with openai.OpenAI(base_url=f"{vllm_server}/v1", api_key="none", timeout=120, max_retries=0) as server:
        streams = []
        for home in homes:
            slot_pointers.write(vllm_adapters_dir, SLOT, home)
            replica.load(SLOT, home)
            chunks = server.chat.completions.create(model=SLOT, messages=messages, max_tokens=LONG_TOKENS, temperature=0, stream=True)
            streams.append(chunks)
            next(chunks)
        for number in range(OTHERS):
            replica.load(f"slots-other-{number}", homes[number % 2])
        answers = ["".join(chunk.choices[0].delta.content or "" for chunk in chunks) for chunks in streams]
    assert answers == alone


def test_log_probabilities_of_several_prompts_do_not_end_the_server(replica, vllm_server, vllm_adapters_dir, homes) -> None:
    slot_pointers.write(vllm_adapters_dir, SLOT, homes[0])
    replica.load(SLOT, homes[0])
    with openai.OpenAI(base_url=f"{vllm_server}/v1", api_key="none", timeout=120, max_retries=0) as server:
        for model in (SLOT, next(served.name for served in replica.served() if not served.parent)):
            done = server.completions.create(model=model, prompt=list(QUESTIONS[:3]), max_tokens=1, extra_body={"prompt_logprobs": 1})
            assert len(done.choices) == 3
    assert replica.is_healthy()


def alone_answer(replica: vllm_inference.VllmReplica, home: Path, question: str, max_tokens: int = 12) -> str:
    """What this adapter answers under a name of its own."""
    slot = f"slots-alone-{home.name[0]}"
    replica.load(slot, home)
    return ask(replica, slot, question, max_tokens)


def streamed(server: openai.OpenAI, question: str) -> str:
    pieces, reason = [], None
    messages = [{"role": "user", "content": question}]
    for chunk in server.chat.completions.create(model=SLOT, messages=messages, max_tokens=12, temperature=0, stream=True):
        pieces.append(chunk.choices[0].delta.content or "")
        reason = chunk.choices[0].finish_reason or reason
    assert reason in ("stop", "length"), "the stream broke off"
    return "".join(pieces)
