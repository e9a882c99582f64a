"""What a judge has found already, in one SQLite file, so that asking again costs nothing and an interrupted grading goes on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from controlplane import ports
from controlplane.core import datasets, errors, judging, pairwise

WAIT_SECONDS = 10.0
_TABLE = "CREATE TABLE IF NOT EXISTS findings (key TEXT PRIMARY KEY, finding TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID"


class CachedJudge:
    """Asks `judge` only what nobody asked it before. Safe to call from several threads, and several processes may share the file.

    What was left ungraded is asked again.

    Args:
        identity: everything about the judge that may change a grade: its model, its address, its sampling.

    Raises:
        OutsideError: the file is not a cache of ours.
        NoSpace: it cannot be written.
    """

    def __init__(self, judge: ports.Judge, identity: str, file: Path) -> None:
        self._judge, self._identity, self._file = judge, identity, file
        self._lock = threading.Lock()
        self.hits = 0
        with self._translated():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(file, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            # No wait for the disk at each grade; a machine that dies loses its last ones, which are asked again.
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(_TABLE)

    @property
    def name(self) -> str:
        return self._judge.name

    def grade(self, row: datasets.Row, answer: str) -> judging.Grade:
        """Raises as the judge does, and as the constructor."""
        asked = judging.messages(row, answer), judging.REPLY_SCHEMA
        return judging.Grade(*self._known_or_asked(asked, lambda: _parts(self._judge.grade(row, answer))))

    def prefer(self, row: datasets.Row, first: str, second: str) -> pairwise.Preference:
        """As `grade`."""
        asked = pairwise.messages(row, first, second), pairwise.REPLY_SCHEMA
        return pairwise.Preference(*self._known_or_asked(asked, lambda: _parts(self._judge.prefer(row, first, second))))

    def close(self) -> None:
        self._connection.close()

    def _known_or_asked(self, asked: object, ask: Callable[[], tuple[str, str]]) -> tuple[str, str]:
        key = hashlib.sha256(json.dumps([self._identity, asked], sort_keys=True).encode()).hexdigest()
        known = self._known(key)
        if known is not None:
            return known
        finding, reason = ask()
        if finding:
            self._keep(key, finding, reason)
        return finding, reason

    def _known(self, key: str) -> tuple[str, str] | None:
        with self._lock, self._translated():
            found = self._connection.execute("SELECT finding, reason FROM findings WHERE key = ?", (key,)).fetchone()
            self.hits += found is not None
        return (found[0], found[1]) if found else None

    def _keep(self, key: str, finding: str, reason: str) -> None:
        with self._lock, self._translated():
            self._connection.execute("INSERT OR REPLACE INTO findings VALUES (?, ?, ?)", (key, finding, reason))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise errors.NoSpace(f"{self._file} cannot be used: {error}.", hint="Check the free space and your rights there.") from error
        except sqlite3.DatabaseError as error:
            raise errors.OutsideError(
                "The grade cache", str(self._file), str(error), hint="Delete the file; grades are asked again."
            ) from error
        except OSError as error:
            raise errors.NoSpace(f"{self._file}: {error.strerror}.", hint="Check the free space and your rights there.") from error


def _parts(finding: judging.Grade | pairwise.Preference) -> tuple[str, str]:
    return (finding.letter if isinstance(finding, judging.Grade) else finding.choice), finding.reason
