"""The spool's file: schema, opening, and which SQLite failures mean what.

WAL with ``synchronous=FULL``: a commit has been synced when it returns. ``auto_vacuum=INCREMENTAL``, so
that pages freed after a long outage go back to the disk in small steps.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 1
_SCHEMA = (
    """CREATE TABLE batch (id INTEGER PRIMARY KEY AUTOINCREMENT, boot_id TEXT NOT NULL,
    boot_ns INTEGER NOT NULL, samples INTEGER NOT NULL, lines BLOB NOT NULL)""",
    "CREATE TABLE cursor (sink TEXT PRIMARY KEY, batch_id INTEGER NOT NULL)",
    """CREATE TABLE dropped (one INTEGER PRIMARY KEY CHECK (one = 1), batches INTEGER NOT NULL,
    samples INTEGER NOT NULL, first_ns INTEGER, last_ns INTEGER)""",
)
# Failures of the disk or its permissions; they pass, and the file is not to blame.
_UNWRITABLE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_AUTH,
    }
)
_WAL_BYTES = 1 << 20


class Foreign(sqlite3.DatabaseError):
    """A sound database that is not a spool of this version."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file's contents are at fault, rather than the disk's room, rights or hardware."""
    if isinstance(error, Foreign):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF not in _UNWRITABLE


def connect(path: Path) -> sqlite3.Connection:
    """Open or create the spool's database; an existing one is only read.

    Raises sqlite3.Error; :func:`is_damage` tells whether the file is to be set aside.
    """
    db = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=1.0, cached_statements=32
    )
    try:
        _prepare(db, path)
    except sqlite3.Error:
        with suppress(sqlite3.Error):
            db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise Foreign(f"{path.name} is a database, but not a spool")
    if version > SCHEMA_VERSION:
        raise Foreign(f"{path.name} has schema {version}, newer than {SCHEMA_VERSION}")
    if version == 0:
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
    mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise sqlite3.OperationalError(f"no write-ahead log on this file system (journal mode {mode})")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA wal_autocheckpoint=256")
    db.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
    db.execute("PRAGMA cache_size=-512")
    # Some builds overwrite what is deleted, for which a full disk has no room; nothing here is secret.
    db.execute("PRAGMA secure_delete=OFF")
    if version == 0:
        db.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        db.execute("COMMIT")


def set_aside(path: Path) -> Path:
    """Move a damaged spool and its log out of the way; where it is now (``NAME.damaged-N``)."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def give_back(db: sqlite3.Connection, *, keep_pages: int = 256, step_pages: int = 64) -> None:
    """Return some free pages to the file system when many are free."""
    if db.execute("PRAGMA freelist_count").fetchone()[0] > keep_pages:
        # It answers a row without columns for each page, which execute() takes for the end.
        db.executescript(f"PRAGMA incremental_vacuum({step_pages})")
