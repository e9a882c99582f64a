"""One small file a slot, naming the directory it answers from. Written atomically by us, read by the plugin inside vLLM."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from controlplane.core import adapters, errors

FOLDER = ".slots"


def read(root: Path, slot: str) -> Path | None:
    """The directory below `root` that the slot answers from; None when the slot has no pointer, or one that leads nowhere."""
    if not adapters.SLOT_NAME.fullmatch(slot):
        return None
    try:
        text = (root / FOLDER / slot).read_text().strip()
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return None
    directory = root.absolute() / text
    return directory if adapters.is_directory_name(text) and directory.is_dir() else None


def write(root: Path, slot: str, directory: Path | None) -> None:
    """Points the slot at an installed version below `root`; None takes the pointer away.

    Raises:
        InvalidInput: the directory is not the home of a version below `root`.
        NoSpace: the disk is full or the folder cannot be written.
    """
    if not adapters.SLOT_NAME.fullmatch(slot):
        raise errors.InvalidInput(f"{slot!r} is not a slot name.", hint="Use <model-name>-live or <model-name>-candidate.")
    try:
        if directory is None:
            (root / FOLDER / slot).unlink(missing_ok=True)
            return
        text = _relative(root.absolute(), directory)
        (root / FOLDER).mkdir(parents=True, exist_ok=True)
        _replace(root / FOLDER / slot, f"{text}\n")
    except OSError as error:
        raise errors.NoSpace(
            f"Cannot write {root / FOLDER / slot}: {error.strerror or error}.", hint="Check its rights and the free space."
        ) from error


def _relative(root: Path, directory: Path) -> str:
    text = str(directory.relative_to(root)) if directory.is_relative_to(root) else ""
    if not adapters.is_directory_name(text):
        raise errors.InvalidInput(f"{directory} is not the home of a version below {root}.", hint="Install the version first.")
    return text


def _replace(path: Path, text: str) -> None:
    """The old content or the new one, whatever happens in between; on the disk before this returns."""
    number, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(number, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
