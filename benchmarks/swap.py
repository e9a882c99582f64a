"""How long a promotion takes from the click to the last verified replica, and how many requests fail meanwhile, beside other ways.

Against a running stack (`make up`) whose model has a live and a previous version (`make demo` makes one):

    .venv/bin/python benchmarks/swap.py --model ops-qa --swaps 10

The ways, each with the same clients streaming from its slot, the first two on a second vLLM of the same settings without our plugin:

- fixed path: copy the files into the slot's own directory, unload, load (what most scripts do);
- in place: load the new directory over the old with `load_inplace`;
- gatewright: a rollback through the API, with its journal, ledger, fingerprints and aliases.

The floor is the least that any way must do: copy the files once, one raw load call under a fresh name. "Answered" adds one token from the
adapter, the least that any check by answers must wait for. All are measured alone; floor and Gatewright under the clients, too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from controlplane import client as api_client
from controlplane import settings as settings_module
from controlplane import stack
from controlplane.clients import vllm_slots
from controlplane.core import adapters

CLIENTS = 8
PAUSE_SECONDS = 0.5
MESSAGE = "The ssh service listens on port {}. Which port does ssh use?"


@dataclass
class Traffic:
    """Streams answers from one slot until stopped; `failed` holds what went wrong."""

    address: str
    slot: str
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def client(self, seed: int) -> None:
        with httpx.Client(base_url=self.address, timeout=120) as http:
            # Pauses keep the clients from falling into step with one another.
            pauses = random.Random(seed)
            for number in itertools.count():
                if self.stop.wait(pauses.uniform(0, PAUSE_SECONDS)):
                    return
                try:
                    self._stream(http, number)
                    self.answered += 1
                except Exception as error:  # noqa: BLE001 - whatever went wrong is what is counted
                    self.failed.append(f"{type(error).__name__} {error}"[:120])

    def _stream(self, http: httpx.Client, number: int) -> None:
        messages = [{"role": "user", "content": MESSAGE.format(number)}]
        body = {"model": self.slot, "messages": messages, "max_tokens": 2, "temperature": 0, "stream": True}
        with http.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = list(response.iter_lines())
        if response.status_code != 200 or not any(line.endswith("[DONE]") for line in lines):
            raise RuntimeError(f"status {response.status_code}")


@contextmanager
def traffic(address: str, slot: str) -> Iterator[Traffic]:
    load = Traffic(address, slot)
    threads = [threading.Thread(target=load.client, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        for thread in threads:
            thread.join()


class Server:
    """Raw calls on one vLLM."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.http = httpx.Client(base_url=address, timeout=120)

    def load(self, name: str, path: Path, **more: Any) -> None:
        self.http.post("/v1/load_lora_adapter", json={"lora_name": name, "lora_path": str(path), **more}).raise_for_status()

    def is_up(self) -> bool:
        try:
            return self.http.get("/health").is_success
        except httpx.TransportError:
            return False

    def answer(self, name: str) -> None:
        self.http.post("/v1/completions", json={"model": name, "prompt": "The ssh service", "max_tokens": 1}).raise_for_status()

    def unload(self, name: str) -> None:
        self.http.post("/v1/unload_lora_adapter", json={"lora_name": name})


@contextmanager
def without_plugin(settings: settings_module.Settings, log: Path) -> Iterator[Server]:
    """A vLLM like the stack's, but for the plugin."""
    command = list(stack.vllm_command(settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command[command.index("--port") + 1] = str(port)
    environment = {name: value for name, value in stack.vllm_environment(settings).items() if name != vllm_slots.ADAPTERS_DIR}
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        server = Server(f"http://127.0.0.1:{port}")
        while not server.is_up():
            if process.poll() is not None:
                raise SystemExit(f"vLLM ended: {log.read_text()[-2000:]}")
            time.sleep(1)
        yield server
    finally:
        process.terminate()
        process.wait()


def copied(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target))


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def floor(server: Server, homes: list[Path], folder: Path, swaps: int) -> tuple[list[float], list[float]]:
    """Seconds until it was loaded, and until it had answered one token as well."""
    loaded, answered = [], []
    for number in range(swaps):
        name, place = f"floor-{number}", folder / f"floor-{number}"
        loaded.append(timed(lambda name=name, place=place, number=number: server.load(name, copied(homes[number % 2], place))))
        answered.append(loaded[-1] + timed(lambda name=name: server.answer(name)))
        server.unload(name)
    return loaded, answered


def fixed_path(server: Server, homes: list[Path], folder: Path, swaps: int) -> tuple[list[float], Traffic]:
    place = folder / "fixed"
    server.load("fixed-live", copied(homes[0], place))

    def swap(number: int) -> None:
        copied(homes[number % 2], place)
        server.unload("fixed-live")
        server.load("fixed-live", place)

    return _under_load(server, "fixed-live", swap, swaps)


def in_place(server: Server, homes: list[Path], _folder: Path, swaps: int) -> tuple[list[float], Traffic]:
    server.load("inplace-live", homes[0])
    return _under_load(server, "inplace-live", lambda number: server.load("inplace-live", homes[number % 2], load_inplace=True), swaps)


def ours(server: Server, api: api_client.Client, model: str, swaps: int) -> tuple[list[float], list[float], Traffic]:
    """Seconds until the last replica was verified, and until the call returned with the aliases moved."""
    verified, whole = [], []
    with traffic(server.address, adapters.live_slot(model)) as load:
        for _ in range(swaps):
            time.sleep(1)
            clicked = time.time()
            whole.append(timed(lambda: api.rollback(model, "benchmark")))
            newest = api.promotions(model, limit=1)[0]
            verified.append(max(one.verified_at.timestamp() for one in newest.replicas if one.verified_at) - clicked)
    return verified, whole, load


def _under_load(server: Server, slot: str, swap: Callable[[int], None], swaps: int) -> tuple[list[float], Traffic]:
    seconds = []
    with traffic(server.address, slot) as load:
        for number in range(1, swaps + 1):
            time.sleep(1)
            seconds.append(timed(lambda number=number: swap(number)))
    server.unload(slot)
    return seconds, load


def quiet(api: api_client.Client, model: str, swaps: int) -> list[float]:
    """Ours without clients, to hold against the floor."""
    seconds = []
    for _ in range(swaps):
        clicked = time.time()
        api.rollback(model, "benchmark")
        newest = api.promotions(model, limit=1)[0]
        seconds.append(max(one.verified_at.timestamp() for one in newest.replicas if one.verified_at) - clicked)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="ops-qa")
    parser.add_argument("--swaps", type=int, default=10)
    arguments = parser.parse_args()
    settings = settings_module.load()
    api = api_client.Client(settings.api_url, token=settings.api_token, actor="benchmark", interface="cli", timeout_seconds=300)
    server = Server(settings.vllm_urls[0])
    model = api.model(arguments.model)
    pair = [api.version(arguments.model, number).version for number in (model.aliases["live"], model.aliases["previous"])]
    homes = [settings.adapters_dir / adapters.directory_name(one.model, one.number, adapters.Digest(one.digest)) for one in pair]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        least, answered = floor(server, homes, folder, arguments.swaps)
        alone = quiet(api, arguments.model, arguments.swaps)
        with traffic(server.address, adapters.live_slot(arguments.model)):
            least_loaded, answered_loaded = floor(server, homes, folder, arguments.swaps)
        with without_plugin(settings, folder / "vllm.log") as plain:
            ways: dict[str, tuple[list[float], Traffic]] = {
                "fixed path": fixed_path(plain, homes, folder, arguments.swaps),
                "in place": in_place(plain, homes, folder, arguments.swaps),
            }
        verified, whole, load = ours(server, api, arguments.model, arguments.swaps)
    ways["gatewright"] = (verified, load)
    result = {
        "swaps": arguments.swaps,
        "clients": CLIENTS,
        "replicas": len(settings.vllm_urls),
        "alone": _beside(alone, least, answered),
        "under_load": {**_beside(verified, least_loaded, answered_loaded), "whole_call_seconds": _median(whole)},
        "ways_under_load": {
            name: {
                "seconds": _median(seconds),
                "answered": load.answered,
                "failed": len(load.failed),
                "failed_per_swap": round(len(load.failed) / arguments.swaps, 2),
                "failures": sorted(set(load.failed))[:3],
            }
            for name, (seconds, load) in ways.items()
        },
    }
    print(json.dumps(result, indent=2))


def _beside(seconds: list[float], least: list[float], answered: list[float]) -> dict[str, float]:
    ours, floor_seconds, answered_seconds = _median(seconds), _median(least), _median(answered)
    return {
        "gatewright_seconds": ours,
        "floor_seconds": floor_seconds,
        "answered_seconds": answered_seconds,
        "over_floor": round(ours / floor_seconds, 1),
        "over_answered": round(ours / answered_seconds, 1),
    }


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3)


if __name__ == "__main__":
    main()
