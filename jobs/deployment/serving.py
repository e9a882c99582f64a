"""How a registered version comes to answer in a slot: fetch its files, install them immutably, load them everywhere. No alias moves."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from controlplane import ports, settings
from controlplane.clients import adapter_files, adapter_weights, replica_set, slot_pointers, vllm_inference
from controlplane.core import admission, errors
from jobs import job


def replicas(addresses: str) -> list[ports.Inference]:
    """One client for each address; several are separated by commas.

    Raises:
        InvalidInput: no address.
    """
    found: list[ports.Inference] = [
        vllm_inference.VllmReplica(address) for one in addresses.split(",") if one.strip() for address in replica_set.expand(one.strip())
    ]
    if not found:
        raise errors.InvalidInput("No vLLM server was named.", hint="Give --vllm-url=http://host:port, several separated by commas.")
    return found


def limits(servers: Sequence[ports.Inference]) -> admission.Server:
    """What the servers take: their base model's names and, where its files are on this machine, its layers. Without a server: any base."""
    own = settings.load()
    bases = [served for server in servers[:1] for served in server.served() if not served.parent]
    names = tuple(name for base in bases for name in (base.root, base.name))
    modules = adapter_weights.layers(Path(bases[0].root)) if bases else {}
    return admission.Server(names, own.max_lora_rank, own.max_adapter_bytes, modules)


def fetch(registry: ports.Registry, version: ports.Version, adapters_dir: Path, server: admission.Server) -> Path:
    """The version's own directory below `adapters_dir`, admitted and with its digest checked.

    Raises:
        InvalidInput: the version was registered without a digest.
        Refused: no server could or should serve its files.
    """
    if not version.digest:
        raise errors.InvalidInput(
            f"Version {version.number} of {version.model} has no tag digest.",
            hint="Register it through the quality gate of the training workflow.",
        )

    def admit(directory: Path) -> None:
        admission.require(adapter_weights.inspect(directory), server, f"{version.model} v{version.number}")

    with tempfile.TemporaryDirectory(prefix="gatewright-") as temporary:
        files = registry.download(version, Path(temporary) / "adapter")
        return adapter_files.install(files, adapters_dir, version.model, version.number, version.digest, admit)


def serve(servers: Sequence[ports.Inference], slot: str, directory: Path, home: Path, log: job.Log) -> None:
    """Every replica answers in `slot` from `directory`, or each is put back to what it served before.

    Args:
        home: the adapters' directory, below which `directory` lies.

    Raises:
        GatewrightError: the first replica's fault.
    """
    before = {server.address: root_of(server, slot) for server in servers}
    pointer = slot_pointers.read(home, slot)
    changed: list[ports.Inference] = []
    slot_pointers.write(home, slot, directory)
    try:
        for server in servers:
            changed.append(server)
            swap = server.load(slot, directory)
            _verify(server, slot, directory)
            if swap.warning:
                log.warning(swap.warning)
            log.progress(len(changed), len(servers), f"{server.address} serves {slot}", root=str(directory))
    except errors.GatewrightError:
        slot_pointers.write(home, slot, pointer)
        _restore(changed, slot, before, log)
        raise


def root_of(server: ports.Inference, slot: str) -> str:
    """The directory the slot answers from; empty when it is not served."""
    return next((one.root for one in server.served() if one.name == slot), "")


def adapters_home(given: Path | None) -> Path:
    """The given directory, else the one of this installation."""
    return (given or settings.load().adapters_dir).expanduser().absolute()


def mlflow_address(given: str) -> str:
    """The given address, else MLFLOW_TRACKING_URI, else this installation's own."""
    return given or settings.load().mlflow_url


def _verify(server: ports.Inference, slot: str, directory: Path) -> None:
    root = root_of(server, slot)
    if os.path.realpath(root or os.devnull) != os.path.realpath(directory):
        raise errors.OutsideError("vLLM", server.address, f"{slot} answers from {root or 'nowhere'}, not from {directory}")


def _restore(changed: Sequence[ports.Inference], slot: str, before: dict[str, str], log: job.Log) -> None:
    for server in changed:
        root = before[server.address]
        if not root:
            log.warning(f"{slot} on {server.address} served nothing before; it is left as it is.")
            continue
        try:
            server.load(slot, Path(root))
            log.warning(f"{slot} on {server.address} is back to {root}.")
        except errors.GatewrightError as fault:
            log.error(f"{slot} on {server.address} could not be put back to {root}: {fault}")
