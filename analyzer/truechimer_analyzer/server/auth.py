"""Who may do what: hashed tokens from a file, and sessions of the page.

A tokens file holds ``[[token]]`` tables of ``name``, ``sha256`` (of the token, in hex) and ``scopes``
(write, read, admin: admin includes both). It is read again when it changes; a file that has become wrong
leaves the tokens as they were, and says so.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import stat
import threading
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import ConfigError
from truechimer.readings import monotonic_s

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

SCOPES = frozenset({"write", "read", "admin"})
SESSION_S = 12 * 3600.0
_SESSIONS_KEPT = 1000
_LOOKED_EVERY_S = 1.0
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_KEYS = frozenset({"name", "sha256", "scopes"})
_MAKE = "make a token: head -c 32 /dev/urandom | base64; its hash: printf %s TOKEN | sha256sum"


@dataclass(frozen=True, slots=True)
class Token:
    """One token by its hash; the token itself is nowhere kept."""

    name: str
    sha256: str
    scopes: frozenset[str]

    def allows(self, scope: str) -> bool:
        """Whether its holder may do what needs ``scope``."""
        return scope in self.scopes or "admin" in self.scopes


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a file. Raises ConfigError saying what is wrong with it and how to mend it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise ConfigError(
                    f"tokens file {path} may be read by others (mode {mode:04o})",
                    hint=f"chmod 600 {path}",
                )
            parsed = tomllib.load(file)
    except FileNotFoundError as error:
        raise ConfigError(f"tokens file {path} is not there", hint=_MAKE) from error
    except OSError as error:
        raise ConfigError(f"tokens file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"tokens file {path} is no TOML: {error}") from error
    return parse_tokens(parsed, str(path))


def parse_tokens(parsed: Mapping[str, object], source: str) -> tuple[Token, ...]:
    """The ``[[token]]`` tables of a parsed file. Raises ConfigError."""
    tables = parsed.get("token")
    if set(parsed) != {"token"} or not isinstance(tables, list) or not tables:
        raise ConfigError(f"{source} must hold [[token]] tables and nothing else", hint=_MAKE)
    tokens = [_parse_token(table, f"{source}: token {number}") for number, table in enumerate(tables, 1)]
    for what in ("name", "sha256"):
        if len({getattr(token, what) for token in tokens}) != len(tokens):
            raise ConfigError(f"{source}: two tokens have the same {what}")
    return tuple(tokens)


def _parse_token(table: object, where: str) -> Token:
    if not isinstance(table, dict) or set(table) != _KEYS:
        raise ConfigError(f"{where} must have name, sha256 and scopes, and nothing else")
    name, digest, scopes = table["name"], table["sha256"], table["scopes"]
    if not isinstance(name, str) or not name.isprintable() or not name:
        raise ConfigError(f"{where}: name must be a text that can be printed")
    if not isinstance(digest, str) or not _HASH.match(digest.lower()):
        raise ConfigError(f"{where} ({name}): sha256 must be 64 hexadecimal digits", hint=_MAKE)
    if (
        not isinstance(scopes, list)
        or not scopes
        or not all(isinstance(scope, str) and scope in SCOPES for scope in scopes)
    ):
        raise ConfigError(f"{where} ({name}): scopes must be some of write, read, admin")
    return Token(name, digest.lower(), frozenset(scopes))


class Authority:
    """Judges credentials. ``path`` None: no tokens, everybody may do everything (loopback only)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._tokens = () if path is None else read_tokens(path)
        self._stamp = self._stamp_of_file()
        self._looked_s = monotonic_s()
        self._sessions: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether no token is asked for."""
        return self._path is None

    def token_of(self, secret: str) -> Token | None:
        """The token that ``secret`` is; every known one is compared, each in constant time."""
        self._look()
        digest = hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
        found = None
        for token in self._tokens:
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found

    def begin_session(self, token: Token) -> str:
        """A new session of the page for a token's holder."""
        session = secrets.token_urlsafe(32)
        now_s = monotonic_s()
        with self._lock:
            for old in [key for key, (_, until_s) in self._sessions.items() if until_s < now_s]:
                del self._sessions[old]
            while len(self._sessions) >= _SESSIONS_KEPT:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[_key(session)] = (token.sha256, now_s + SESSION_S)
        return session

    def token_of_session(self, session: str) -> Token | None:
        """The token of a session; None once it ended or its token was withdrawn."""
        self._look()
        with self._lock:
            digest, until_s = self._sessions.get(_key(session), ("", 0.0))
        if monotonic_s() >= until_s:
            return None
        return next((token for token in self._tokens if token.sha256 == digest), None)

    def end_session(self, session: str) -> None:
        """Forget a session."""
        with self._lock:
            self._sessions.pop(_key(session), None)

    def reload(self) -> None:
        """Read the tokens again; a wrong file changes nothing and is logged."""
        if self._path is None:
            return
        self._stamp = self._stamp_of_file()
        try:
            self._tokens = read_tokens(self._path)
        except ConfigError as error:
            log.error("tokens kept as they were error=%s", error)  # noqa: TRY400 - the message says it all
        else:
            log.info("tokens read tokens=%d", len(self._tokens))

    def _look(self) -> None:
        now_s = monotonic_s()
        if now_s - self._looked_s < _LOOKED_EVERY_S:
            return
        self._looked_s = now_s
        if self._stamp_of_file() != self._stamp:
            self.reload()

    def _stamp_of_file(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_mode


def _key(session: str) -> str:
    # Looked up by hash, so that the time a look-up takes says nothing about sessions.
    return hashlib.sha256(session.encode(errors="surrogatepass")).hexdigest()
