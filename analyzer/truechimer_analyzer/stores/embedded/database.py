"""Opening the DuckDB file: one owner, damage kept aside, schema versions, missing columns added."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from truechimer.errors import NothingThere, UserError
from truechimer.readings import wall_ns
from truechimer.samples import MEASUREMENTS
from truechimer_analyzer.stores import StoreFailed
from truechimer_analyzer.stores.embedded.tables import BOOKKEEPING, columns_of, create_statement, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

FILE = "samples.duckdb"
LOCK = "lock"
SCHEMA_VERSION = 1
MIGRATIONS: Mapping[int, Callable[[duckdb.DuckDBPyConnection], None]] = {}
"""From version n to n + 1, each in the transaction that also writes the new version."""
MEMORY_LIMIT_BYTES = 1_000_000_000
READING_LIMIT_BYTES = 500_000_000
"""Of a process that only reads: what it makes of the rows needs room as well."""

_DAMAGE = re.compile(
    r"not a valid DuckDB database file|corrupt|could not read enough bytes|checksum|deserializ|wal file",
    re.IGNORECASE,
)
_HOLDER = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")


@dataclass(slots=True)
class Database:
    """An open file: its connection, the directory's lock (None when only reading), and where it is."""

    path: Path
    connection: duckdb.DuckDBPyConnection
    lock_fd: int | None
    read_only: bool

    def reconnect(self) -> None:
        """Open the file again after the engine gave it up; the lock is kept."""
        with contextlib.suppress(duckdb.Error):
            self.connection.close()
        self.connection = _connect(self.path, read_only=self.read_only)

    def close(self) -> None:
        """Let go of file and lock."""
        self.connection.close()
        if self.lock_fd is not None:
            os.close(self.lock_fd)
            self.lock_fd = None


def open_database(directory: Path, *, read_only: bool) -> Database:
    """Open or create the file in ``directory``.

    Raises UserError when another process holds it, when the directory cannot be used, or when the file is
    of a newer version; NothingThere when it is to be read and does not exist; StoreFailed otherwise.
    """
    path = directory / FILE
    if read_only:
        if not path.exists():
            raise NothingThere(
                f"no store in {directory}", hint="start one: truechimer up, or truechimer analyzer run"
            )
        return Database(path, _connect(path, read_only=True), None, read_only=True)
    lock_fd = _lock(directory)
    try:
        database = Database(path, _connect_or_keep_aside(path), lock_fd, read_only=False)
        try:
            _prepare(database)
        except BaseException:
            database.connection.close()
            raise
    except BaseException:
        os.close(lock_fd)
        raise
    return database


def _lock(directory: Path) -> int:
    """The directory's lock, held by the descriptor that is returned; made where it is missing."""
    lock = directory / LOCK
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock_fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise UserError(
            f"cannot keep a store in {directory}: {error.strerror}",
            hint='name a directory that this user may write: [store] address = "embedded:DIR"',
        ) from error
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = lock.read_text(errors="replace").strip()
        os.close(lock_fd)
        raise _held(directory, holder) from error
    os.ftruncate(lock_fd, 0)
    os.pwrite(lock_fd, f"{os.getpid()}\n".encode(), 0)
    return lock_fd


def _held(directory: Path, pid: str) -> UserError:
    return UserError(
        f"the store in {directory} is in use by another process" + (f" (PID {pid})" if pid else ""),
        hint="ask the analyzer that runs (--store http://127.0.0.1:8723), or stop it first",
    )


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    most = READING_LIMIT_BYTES if read_only else MEMORY_LIMIT_BYTES
    memory = min(most, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4)
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory // 1_000_000}MB",
        "threads": max(1, min(4, len(os.sched_getaffinity(0)))),
        "temp_directory": str(path.with_name("spill")),
        # Nothing is ever fetched from the network, and no query reads other files.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        connection = duckdb.connect(str(path), read_only=read_only, config=settings)
        # Last: it locks temp_directory too.
        connection.execute("SET enable_external_access = false")
        return connection
    except duckdb.Error as error:
        held = _HOLDER.search(str(error))
        if held is not None:
            raise _held(path.parent, held.group(2)) from error
        if "version number" in str(error):
            raise UserError(
                f"{path} was written by another version of DuckDB: {first_line(error)}",
                hint="run the version of truechimer that wrote it, or name another directory",
            ) from error
        raise StoreFailed(f"cannot open {path}: {first_line(error)}") from error


def _connect_or_keep_aside(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the file; what is damaged is renamed, first its log alone, then the whole, and begun anew."""
    wal = path.with_name(path.name + ".wal")
    stamp = f".damaged-{wall_ns() // 1_000_000_000}"
    for victims in ([wal], [path, wal]):
        try:
            return _connect(path, read_only=False)
        except StoreFailed as error:
            if not _DAMAGE.search(str(error)):
                raise
            if victims == [wal] and not (wal.exists() and "wal" in str(error).lower()):
                continue
            _keep_aside(victims, stamp, error)
    if path.exists():
        _keep_aside([path, wal], stamp, None)
    return _connect(path, read_only=False)


def _keep_aside(victims: list[Path], stamp: str, error: StoreFailed | None) -> None:
    for victim in victims:
        if victim.exists():
            aside = victim.with_name(victim.name + stamp)
            victim.rename(aside)
            log.error("the database is damaged; kept aside and begun anew kept=%s error=%s", aside, error)


def _prepare(database: Database) -> None:
    connection = database.connection
    try:
        for statement in BOOKKEEPING:
            connection.execute(statement)
        version = schema_version(connection)
        if version is None:
            connection.execute("INSERT INTO meta VALUES ('schema_version', ?)", [str(SCHEMA_VERSION)])
        elif version > SCHEMA_VERSION:
            raise UserError(
                f"{database.path} has schema version {version}, this program knows up to {SCHEMA_VERSION}",
                hint="run the newer truechimer that wrote it, or name another directory",
            )
        elif version < SCHEMA_VERSION:
            _migrate(database, version)
        _add_missing(database.connection)
    except (duckdb.Error, OSError) as error:
        raise StoreFailed(f"cannot prepare {database.path}: {first_line(error)}") from error


def schema_version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The file's schema version; None in a new one."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    return None if row is None else int(row[0])


def _migrate(database: Database, version: int) -> None:
    """Bring an older file up to date, after a copy of it as it was."""
    database.connection.execute("CHECKPOINT")
    # Closed while it is copied: closing any descriptor of the file would drop the engine's lock on it.
    database.connection.close()
    copy = database.path.with_name(f"{database.path.name}.schema-{version}")
    shutil.copy2(database.path, copy)
    log.warning("migrating the database from=%d to=%d copy=%s", version, SCHEMA_VERSION, copy)
    database.connection = _connect(database.path, read_only=False)
    for step in range(version, SCHEMA_VERSION):
        database.connection.begin()
        MIGRATIONS[step](database.connection)
        database.connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", [str(step + 1)])
        database.connection.commit()


def _add_missing(connection: duckdb.DuckDBPyConnection) -> None:
    """Tables and columns that the declaration has gained since the file was written."""
    present = present_columns(connection)
    for measurement in MEASUREMENTS.values():
        if measurement.name not in present:
            connection.execute(create_statement(measurement))
            continue
        for name, kind in columns_of(measurement):
            if name not in present[measurement.name]:
                table = quoted(measurement.name)
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(name)} {kind}")


def present_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    """The columns of every table there is."""
    present: dict[str, set[str]] = {}
    for table, column in connection.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'main'"
    ).fetchall():
        present.setdefault(table, set()).add(column)
    return present


def first_line(error: Exception) -> str:
    """The first line of what an error says."""
    return str(error).strip().partition("\n")[0]
