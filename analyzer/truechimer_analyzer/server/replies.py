"""Documents as responses: JSON that never holds NaN, and each kind of error with its status."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from starlette.responses import Response

from truechimer.errors import NotEnough, TruechimerError, UserError
from truechimer_analyzer.stores import StoreBusy, StoreFailed

if TYPE_CHECKING:
    from starlette.requests import Request

log = logging.getLogger(__name__)


class Refused(TruechimerError):  # noqa: N818 - reads as the statement it is
    """A request that is answered with ``status`` instead of a document."""

    def __init__(
        self, status: int, message: str, *, hint: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = dict(headers or {})


# The codes of InfluxDB's API, which writers know.
_WRITE_CODES = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    405: "method not allowed",
    408: "request timeout",
    413: "request too large",
    415: "unsupported media type",
    421: "forbidden",
    429: "too many requests",
    503: "unavailable",
}


def plain(value: object) -> object:
    """A value as JSON may hold it: NaN and the infinities become None, NumPy's scalars and arrays plain."""
    if isinstance(value, bool | str | int) or value is None:
        return value
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    raise TypeError(f"{type(value).__name__} cannot be JSON")


def document(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    text = json.dumps(plain(value), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


def error(path: str, status: int, message: str, hint: str | None = None, **more: object) -> Response:
    """An error in the form that who asks ``path`` expects: writers InfluxDB's, others the contract's."""
    if path.startswith("/api/v2/"):
        code = _WRITE_CODES.get(status, "internal error")
        text = f"{message}: {hint}" if hint else message
        return document({"code": code, "message": text, **more}, status)
    return document({"error": message, "hint": hint, **more}, status)


def from_exception(request: Request, problem: Exception) -> Response:
    """What an exception of a handler is answered with; ours are logged, the asker's are not."""
    path = request.scope["path"]
    if isinstance(problem, Refused):
        response = error(path, problem.status, str(problem), problem.hint)
        response.headers.update(problem.headers)
        return response
    if isinstance(problem, StoreBusy):
        response = error(path, 429, str(problem), "try again in a moment")
        response.headers["Retry-After"] = str(problem.retry_after_s)
        return response
    if isinstance(problem, StoreFailed):
        log.error("store failed path=%s error=%s", path, problem)
        response = error(path, 503, str(problem), problem.hint or "the analyzer's log says more")
        response.headers["Retry-After"] = "5"
        return response
    if isinstance(problem, NotEnough):
        # A refusal may carry the document that says what is missing and what is supported.
        more = {"document": problem.document} if hasattr(problem, "document") else {}
        return error(path, 422, str(problem), problem.hint, **more)
    if isinstance(problem, UserError):
        return error(path, 400, str(problem), problem.hint)
    if isinstance(problem, TruechimerError):
        return error(path, 503, str(problem), problem.hint)
    log.error("request failed path=%s", path, exc_info=problem)
    return error(path, 500, "the analyzer failed to answer", "its log says why")
