"""The routes, and how each of them is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from truechimer import __version__
from truechimer.config.model import LimitsConfig
from truechimer.errors import TruechimerError
from truechimer_analyzer.answers import COMMANDS, answer, load
from truechimer_analyzer.server import replies
from truechimer_analyzer.server.auth import Authority
from truechimer_analyzer.server.events import Events
from truechimer_analyzer.server.guard import Guard
from truechimer_analyzer.server.metrics import Metrics
from truechimer_analyzer.server.series import series, to_csv
from truechimer_analyzer.server.signin import sign_in, sign_out
from truechimer_analyzer.server.write import WriteEndpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from truechimer_analyzer.stores import Store

PAGE = Path(__file__).resolve().parent.parent / "page"
ANSWERS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Service:
    """What the handlers share."""

    store: Store
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    authority: Authority = field(default_factory=lambda: Authority(None))
    events: Events = field(default_factory=Events)
    metrics: Metrics = field(default_factory=Metrics)

    def app(self) -> Starlette:
        """The application; the store's commits are counted and told from here on."""
        self.store.subscribe(self.metrics.committed)
        self.store.subscribe(self.events.committed)
        handlers = _Handlers(self)
        load()
        return Starlette(
            routes=[
                Route("/api/v2/write", WriteEndpoint(self.store, self.metrics).post, methods=["POST"]),
                Route("/api/v1/events", self.events.stream),
                Route("/api/v1/series", handlers.series),
                Route("/api/v1/{command}", handlers.answer),
                Route("/api/{rest:path}", handlers.nothing),
                Route("/healthz", handlers.health),
                Route("/metrics", handlers.metrics),
                Route("/login", handlers.login, methods=["GET", "POST"]),
                Route("/logout", handlers.logout, methods=["POST"]),
                Mount("/", _Page(directory=PAGE, html=True)),
            ],
            middleware=[Middleware(Guard, authority=self.authority)],
            exception_handlers={
                HTTPException: _http_exception,
                TruechimerError: _exception,
                Exception: _exception,
            },
        )


class _Handlers:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._answering = CapacityLimiter(ANSWERS_AT_ONCE)
        self._checking = CapacityLimiter(1)

    async def answer(self, request: Request) -> Response:
        """A command's document."""
        command = request.path_params["command"]
        if command not in COMMANDS:
            raise replies.Refused(
                404,
                f"there is no answer {command!r}",
                hint=f"known: {', '.join((*COMMANDS, 'series', 'events'))}",
            )
        options = dict(request.query_params)
        return await to_thread.run_sync(
            self._answer, command, options, limiter=self._answering, abandon_on_cancel=True
        )

    def _answer(self, command: str, options: Mapping[str, str]) -> Response:
        return replies.document(answer(command, options, self._service.store, self._service.limits))

    async def series(self, request: Request) -> Response:
        """A measurement's fields over time, as JSON or CSV."""
        options = dict(request.query_params)
        form = options.get("format") or "json"
        if form not in {"json", "csv"}:
            raise replies.Refused(400, f"format={form[:20]!r} is not known", hint="json or csv")
        return await to_thread.run_sync(
            self._series, options, form, limiter=self._answering, abandon_on_cancel=True
        )

    def _series(self, options: Mapping[str, str], form: str) -> Response:
        document, columns = series(options, self._service.store)
        if form == "json":
            return replies.document(document)
        name = f'attachment; filename="{columns.measurement}.csv"'
        headers = {"Cache-Control": "no-store", "Content-Disposition": name}
        return Response(to_csv(columns), 200, headers, "text/csv")

    async def health(self, request: Request) -> Response:  # noqa: ARG002 - a handler's signature
        """200 while the store writes and answers; 503 by StoreFailed otherwise."""
        await to_thread.run_sync(self._service.store.check, limiter=self._checking, abandon_on_cancel=True)
        return replies.document({"service": "truechimer-analyzer", "status": "ok", "version": __version__})

    async def metrics(self, request: Request) -> Response:  # noqa: ARG002 - a handler's signature
        """Prometheus text."""
        service = self._service
        await to_thread.run_sync(
            service.metrics.skew.refresh,
            service.store,
            service.limits,
            limiter=self._answering,
            abandon_on_cancel=True,
        )
        return Response(self._service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def login(self, request: Request) -> Response:
        """The page's sign-in."""
        return await sign_in(request, self._service.authority)

    async def logout(self, request: Request) -> Response:
        """The page's sign-out."""
        return await sign_out(request, self._service.authority)

    async def nothing(self, request: Request) -> Response:
        """Addresses under /api that are none."""
        path = request.scope["path"]
        if path == "/api/v2/write":
            raise replies.Refused(405, "writes are POSTed", headers={"Allow": "POST"})
        raise replies.Refused(404, f"there is nothing at {path}")


class _Page(StaticFiles):
    """The page's files, revalidated at each use so that an upgrade shows at once."""

    def file_response(self, *arguments: object, **options: object) -> Response:
        response = super().file_response(*arguments, **options)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


async def _http_exception(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    response = replies.error(request.scope["path"], problem.status_code, problem.detail)
    response.headers.update(problem.headers or {})
    return response


async def _exception(request: Request, problem: Exception) -> Response:
    return replies.from_exception(request, problem)
