"""Adapters as files on this machine: their digest, and their immutable home on a server. It knows no registry and no server."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from controlplane.core import adapters, errors

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
CHUNK_BYTES = 1 << 20


def digest_of(directory: Path) -> adapters.Digest:
    """The adapter's identity; files are read a piece at a time.

    Raises:
        NotFound: no such directory.
        InvalidInput: a file is missing, is a link, or is a pickle, which could run code when loaded.
    """
    files = _files(directory)
    return adapters.digest({name: _chunks(path) for name, path in files.items()})


def install(
    source_dir: Path, adapters_dir: Path, model: str, version: int, expected_digest: adapters.Digest, admit: Callable[[Path], None]
) -> Path:
    """Copies the two required files to the version's own directory, which appears whole or not at all and never changes again.

    Args:
        admit: asked about the source once its digest is known to be right; it raises when the files must not go near a server.

    Returns:
        The absolute directory; one that is there already with the right content is used as it is.

    Raises:
        OutsideError: the files, or the directory that is there already, have another digest.
        NoSpace: the disk is full or the directory cannot be written.
    """
    home = adapters_dir.absolute() / adapters.directory_name(model, version, expected_digest)
    if home.exists():
        return _verified(home, expected_digest, "Move that directory away; it was changed after it was installed.")
    _verified(source_dir, expected_digest, "Register the adapter again; its files are not those of the registered version.")
    admit(source_dir)
    with _disk(home):
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".part-", ignore_cleanup_errors=True) as temporary:
            whole = Path(temporary) / home.name
            _copy(source_dir, whole)
            _move(whole, home)
    return _verified(home, expected_digest, "Check the disk: what was written is not what is there.")


def _files(directory: Path) -> dict[str, Path]:
    if not directory.is_dir():
        raise errors.NotFound(f"There is no adapter directory {directory}.")
    found = sorted(directory.iterdir())
    for path in found:
        if path.suffix in PICKLES:
            raise errors.InvalidInput(f"{path} is a pickle and could run code when loaded.", hint="Save the adapter as safetensors.")
        if path.is_symlink():
            raise errors.InvalidInput(f"{path} is a link.", hint="Put the file itself there.")
    return {path.name: path for path in found if path.name in adapters.REQUIRED_FILES}


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _verified(directory: Path, expected: adapters.Digest, hint: str) -> Path:
    found = digest_of(directory)
    if found != expected:
        raise errors.OutsideError("Adapter", str(directory), f"its digest is {found[:12]}, not {expected[:12]}", hint=hint)
    return directory


def _copy(source: Path, target: Path) -> None:
    target.mkdir()
    for name in adapters.REQUIRED_FILES:
        with (source / name).open("rb") as given, (target / name).open("wb") as copy:
            shutil.copyfileobj(given, copy, CHUNK_BYTES)
            copy.flush()
            os.fsync(copy.fileno())


def _move(whole: Path, home: Path) -> None:
    try:
        whole.rename(home)
    except OSError:
        # Somebody installed the same version meanwhile; its content is verified next.
        if not home.is_dir():
            raise


@contextmanager
def _disk(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.NoSpace(
            f"Cannot write {directory}: {error.strerror or error}.", hint="Check its rights and the free space."
        ) from error
