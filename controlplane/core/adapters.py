"""Identity of a LoRA adapter: its digest, the directory it lives in, and the slot names clients send to vLLM. No I/O."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import NewType

from controlplane.core import errors

Digest = NewType("Digest", str)

REQUIRED_FILES = ("adapter_config.json", "adapter_model.safetensors")
MODEL_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
SLOT_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$")
DIRECTORY_NAME = re.compile(r"^(?P<model>[^/]+)/(?P<version>[1-9][0-9]*)-[0-9a-f]{12}$")


def live_slot(model_name: str) -> str:
    return f"{check_model_name(model_name)}-live"


def candidate_slot(model_name: str) -> str:
    return f"{check_model_name(model_name)}-candidate"


def check_model_name(name: str) -> str:
    """The name itself, when it can stand in a path and a URL.

    Raises:
        InvalidInput: it cannot.
    """
    if not MODEL_NAME.fullmatch(name) or ".." in name:
        raise errors.InvalidInput(
            f"{name!r} is not a model name.",
            hint="Use letters, digits, dot, dash and underscore, at most 100, starting with a letter or digit.",
        )
    return name


def digest(files: Mapping[str, Iterable[bytes]]) -> Digest:
    """SHA-256 over the required files in canonical order: name, NUL, hex digest of the content, newline, for each.

    Only the files that vLLM reads count, so a model card edited later does not change an adapter's identity.
    """
    missing = [name for name in REQUIRED_FILES if name not in files]
    if missing:
        raise errors.InvalidInput(f"The adapter lacks {', '.join(missing)}.", hint="Train it again, or log both files to the run.")
    whole = hashlib.sha256()
    for name in sorted(REQUIRED_FILES):
        content = hashlib.sha256()
        for chunk in files[name]:
            content.update(chunk)
        whole.update(f"{name}\0{content.hexdigest()}\n".encode())
    return Digest(whole.hexdigest())


def directory_name(model_name: str, version: int, adapter_digest: Digest) -> str:
    """Relative, immutable home of a version on a server: `<model>/<version>-<digest[:12]>`.

    vLLM keys its prefix cache by adapter name and path, so a reused path would serve answers computed with the old weights.
    """
    return f"{check_model_name(model_name)}/{version}-{adapter_digest[:12]}"


def is_directory_name(text: str) -> bool:
    """Could `directory_name` have made it? What is not made so is never followed as a path."""
    match = DIRECTORY_NAME.fullmatch(text)
    return match is not None and MODEL_NAME.fullmatch(match["model"]) is not None and ".." not in text
