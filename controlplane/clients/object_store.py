"""Files under one root, on a disk (file://) or in a bucket (s3://). It knows nothing of what is in them."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from controlplane import ports
from controlplane.core import errors

_TEMPORARY = ".part-"


def open(url: str) -> ports.ObjectStore:
    """The store at `url`, whose path is the root of every key.

    Raises:
        InvalidInput: neither file:///directory nor s3://bucket/prefix, or s3:// without the package it needs.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return FileStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        return S3Store(parts.netloc, parts.path.strip("/"))
    raise errors.InvalidInput(f"{url!r} is not the address of an object store.", hint="Use file:///directory or s3://bucket/prefix.")


class FileStore:
    """A directory. A write is whole or not at all, and no key leads outside, not even through a link."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def list(self, prefix: str) -> list[str]:
        folder = self.root / (prefix.rpartition("/")[0])
        if prefix:
            self._path(prefix)
        files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(_TEMPORARY))
        return sorted(key for path in files if (key := path.relative_to(self.root).as_posix()).startswith(prefix))

    def read(self, key: str) -> bytes:
        path = self._path(key)
        try:
            return path.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise errors.NotFound(f"There is no {self.address(key)}.") from error
        except OSError as error:
            raise errors.OutsideError("Object store", str(self.root), f"{key}: {error.strerror or error}") from error

    def write(self, key: str, content: bytes) -> None:
        """Raises NoSpace."""
        path = self._path(key)
        with _disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_TEMPORARY, delete=False) as temporary:
                try:
                    temporary.write(content)
                    temporary.flush()
                    os.fsync(temporary.fileno())
                    Path(temporary.name).replace(path)
                except OSError:
                    Path(temporary.name).unlink(missing_ok=True)
                    raise

    def address(self, key: str) -> str:
        return self._path(key).as_uri()

    def _path(self, key: str) -> Path:
        path = (self.root / _checked(key)).resolve()
        if not path.is_relative_to(self.root):
            raise errors.InvalidInput(f"{key!r} leads out of the object store.", hint="Use a key below its root.")
        return path


class S3Store:
    """A prefix in a bucket. Credentials, region and endpoint come from the standard AWS variables, which boto3 reads itself."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self._faults, self._s3 = _boto3_client()

    def list(self, prefix: str) -> list[str]:
        if prefix:
            _checked(prefix)
        with self._asked(prefix):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            return sorted(entry["Key"].removeprefix(self._prefix) for page in pages for entry in page.get("Contents", []))

    def read(self, key: str) -> bytes:
        with self._asked(key):
            content: bytes = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + _checked(key))["Body"].read()
            return content

    def write(self, key: str, content: bytes) -> None:
        with self._asked(key):
            self._s3.put_object(Bucket=self._bucket, Key=self._prefix + _checked(key), Body=content)

    def address(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{_checked(key)}"

    @contextmanager
    def _asked(self, key: str) -> Iterator[None]:
        place = f"s3://{self._bucket}"
        try:
            yield
        except self._faults.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("NoSuchKey", "404"):
                raise errors.NotFound(f"There is no {self.address(key)}.") from error
            raise errors.OutsideError("Object store", place, code, hint="Check the bucket's name and your rights.") from error
        except self._faults.BotoCoreError as error:
            raise errors.Unreachable("Object store", place, type(error).__name__) from error


def _boto3_client() -> tuple[Any, Any]:
    """(botocore.exceptions, an S3 client that gives up within ten seconds)."""
    try:
        boto3, botocore_config = importlib.import_module("boto3"), importlib.import_module("botocore.config")
    except ModuleNotFoundError as error:
        raise errors.InvalidInput("s3:// needs the package boto3.", hint="Install it: pip install 'gatewright[s3]'.") from error
    config = botocore_config.Config(connect_timeout=4, read_timeout=9, retries={"total_max_attempts": 2})
    return importlib.import_module("botocore.exceptions"), boto3.client("s3", config=config)


def _checked(key: str) -> str:
    if not key or key.startswith("/") or "\0" in key or ".." in PurePosixPath(key).parts:
        raise errors.InvalidInput(f"{key!r} is not a key of the object store.", hint="Use a relative path without '..'.")
    return key


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.NoSpace(f"Cannot write {path}: {error.strerror or error}.", hint="Check its rights and the free space.") from error
