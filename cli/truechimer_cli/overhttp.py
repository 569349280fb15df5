"""Asking an analyzer over HTTP."""

from __future__ import annotations

import gzip
import http.client
import ipaddress
import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from truechimer.errors import NotEnough, NothingThere, PeerError, TruechimerError, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

Document = dict[str, Any]

TOKEN_VARIABLE = "TRUECHIMER_TOKEN_FILE"  # noqa: S105 - the name of a variable that names a file
ANALYZER_SERVICE = "truechimer-analyzer"
_PROBE_TIMEOUT_S = 1.0
_ANSWER_TIMEOUT_S = 120.0
_LARGEST_ANSWER = 256 << 20
_NOT_ENOUGH = 422
_BUSY = 429


def identify(base: str) -> bool:
    """Whether a working truechimer analyzer answers at ``base``."""
    status, service = service_at(base)
    return status == 200 and service == ANALYZER_SERVICE


def service_at(base: str) -> tuple[int | None, str | None]:
    """The status of /healthz at ``base`` and which of our services says so; None where nobody does."""
    try:
        status, body = _get(base.rstrip("/") + "/healthz", _PROBE_TIMEOUT_S, None)
    except TruechimerError:
        return None, None
    service = (_document(body) or {}).get("service")
    return status, service if isinstance(service, str) else None


def ask_http(base: str, command: str, options: Mapping[str, str]) -> Document:
    """GET {base}/api/v1/COMMAND?options with the token of ``$TRUECHIMER_TOKEN_FILE``."""
    parts = urlsplit(base)
    if parts.username is not None or parts.password is not None:
        raise UserError(
            "the store's address holds a user or password",
            hint=f"put a token into a file and name it in {TOKEN_VARIABLE}",
        )
    query = f"?{urlencode(options)}" if options else ""
    url = f"{base.rstrip('/')}/api/v1/{quote(command)}{query}"
    status, body = _get(url, _ANSWER_TIMEOUT_S, _token())
    document = _document(body)
    if status == 200 and document is not None:
        return document
    if status == _NOT_ENOUGH and document is not None and isinstance(document.get("document"), dict):
        # A refusal with its reasons is an answer too; the command gives it its exit code.
        refused: Document = document["document"]
        return refused
    raise _refusal(base, status, document)


def post_lines(base: str, body: bytes) -> None:
    """POST {base}/api/v2/write: gzipped line protocol, durable on return; errors as of ``ask``."""
    url = f"{base.rstrip('/')}/api/v2/write?precision=ns"
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"}
    status, answer = _get(url, _ANSWER_TIMEOUT_S, _token(), gzip.compress(body, 5), headers)
    if status != 204:
        document = _document(answer) or {}
        raise _refusal(base, status, {"error": document.get("message"), **document})


def _get(
    url: str,
    timeout_s: float,
    token: str | None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Status and body, by POST where a ``body`` is given.

    Raises NothingThere when nobody answers, UserError for what is no URL.
    """
    try:
        request = urllib.request.Request(  # noqa: S310 - http(s) only
            url, data=body, headers={"Accept": "application/json", **(headers or {})}
        )
        host = urlsplit(url).hostname
    except ValueError as error:
        raise UserError(f"{url!r} is no address: {error}") from error
    if host is None:
        raise UserError(f"{url!r} is no address: it has no host")
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    # A proxy of the environment is for the outside: never for this host's own analyzer.
    handlers = [urllib.request.ProxyHandler({})] if _is_loopback(host) else []
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout_s) as response:
            return response.status, response.read(_LARGEST_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(1 << 20)
    except urllib.error.URLError as error:
        raise _nobody(url, error.reason) from error
    except (OSError, http.client.HTTPException) as error:
        raise _nobody(url, error) from error
    except ValueError as error:
        raise UserError(f"{url!r} is no address: {error}") from error


def _nobody(url: str, reason: object) -> NothingThere:
    parts = urlsplit(url)
    why = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return NothingThere(
        f"asking the analyzer at {parts.scheme}://{parts.netloc}: {why}",
        hint="is it running? `truechimer up` starts one on this host",
    )


def _token() -> str | None:
    named = os.environ.get(TOKEN_VARIABLE)
    if not named:
        return None
    try:
        token = Path(named).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"reading the token in {TOKEN_VARIABLE}={named}: {error}") from error
    if not token.isascii() or not token.isprintable() or not token:
        raise UserError(f"the file named by {TOKEN_VARIABLE} ({named}) holds no token")
    return token


def _document(body: bytes) -> Document | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _refusal(base: str, status: int, document: Document | None) -> TruechimerError:
    told = document or {}
    message = str(told.get("error") or f"HTTP status {status}, and not what an analyzer says")
    hint = told.get("hint")
    hint = str(hint) if hint else None
    if status in {401, 403}:
        return UserError(
            f"{base} refused: {message}",
            hint=hint or f"put a token with scope read into a file: {TOKEN_VARIABLE}",
        )
    if status == _NOT_ENOUGH:
        return NotEnough(message, hint=hint)
    if 400 <= status < 500 and status != _BUSY and document is not None:
        return UserError(message, hint=hint)
    if (status >= 500 or status == _BUSY) and document is not None:
        return NothingThere(f"{base} failed: {message}", hint=hint)
    return NoAnalyzer(f"asking {base}: {message}", hint="is that a truechimer analyzer?")


class NoAnalyzer(PeerError):  # noqa: N818 - reads as the statement it is
    """Somebody answered, but no analyzer."""

    exit_code = 3


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
