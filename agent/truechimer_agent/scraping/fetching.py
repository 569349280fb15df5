"""One GET of a /metrics page: bounded in time and size, without redirects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from truechimer_agent.collecting import CollectFailure
from truechimer_agent.sinks.answers import excerpt
from truechimer_agent.sinks.bounded import BoundedPool
from truechimer_agent.sinks.tokens import TokenFile

if TYPE_CHECKING:
    from truechimer.config.model import ScrapeConfig

MOST_BYTES = 4 << 20
ACCEPT = "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5, */*;q=0.1"
_OPENMETRICS = "application/openmetrics-text"
_HINTS = {
    401: "give this [[scrape]] a token_file that the program knows",
    403: "give this [[scrape]] a token_file that may read it",
    404: "correct the path of url: programs mostly have it at /metrics, Spring Boot at /actuator/prometheus",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page's bytes, and in which of the two formats."""

    body: bytes
    openmetrics: bool


class Fetcher:
    """Fetches one page again and again over one kept connection. Used by one thread at a time."""

    def __init__(self, config: ScrapeConfig) -> None:
        self._config = config
        self._token = None if config.token_file is None else TokenFile(config.token_file)
        self._pool: BoundedPool | None = None

    def fetch(self) -> Fetched:
        """The page now. Raises CollectFailure with the address, what happened and what to do."""
        import urllib3

        config = self._config
        headers = {"Accept": ACCEPT, "User-Agent": "truechimer", **self._authorization()}
        try:
            answer = self._open().request(
                "GET",
                config.url,
                body=None,
                timeout=urllib3.Timeout(config.timeout_s),
                headers=headers,
                redirect=False,
                retries=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self._pool = None
            raise self._failure(_plainly(error), self._reaching_hint(error)) from error
        body = answer.data or b""
        if 300 <= answer.status < 400:
            there = excerpt((answer.headers.get("Location") or "elsewhere").encode())
            raise self._failure(
                f"it redirects to {there}: redirects are not followed", "put the page's own address into url"
            )
        if answer.status != 200:
            raise self._failure(
                f"it answers with HTTP {answer.status}",
                _HINTS.get(answer.status, "look at the program's log"),
            )
        if len(body) > MOST_BYTES:
            raise self._failure(
                f"its page is longer than {MOST_BYTES >> 20} MiB",
                "have the program show less, or name a page of its runtime's metrics alone",
            )
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise self._failure("it compresses unasked", "have the program heed Accept-Encoding")
        kind = answer.headers.get("Content-Type", "")
        return Fetched(body, openmetrics=kind.strip().lower().startswith(_OPENMETRICS))

    def _open(self) -> BoundedPool:
        if self._pool is None:
            import urllib3

            ca_file = self._config.ca_file
            ca_certs = None if ca_file is None else str(ca_file)
            pool = urllib3.PoolManager(num_pools=1, maxsize=1, ca_certs=ca_certs)
            self._pool = BoundedPool(pool, MOST_BYTES + 1)
        return self._pool

    def _authorization(self) -> dict[str, str]:
        if self._token is None:
            return {}
        try:
            return {"Authorization": f"Bearer {self._token.read()}"}
        except OSError as error:
            raise self._failure(
                f"token_file {self._token.path} cannot be read: {error.strerror}",
                "make the file readable by the agent's user; it is read again by itself",
            ) from error
        except ValueError as error:
            raise self._failure(str(error), "put one token on one line into the file") from error

    def _reaching_hint(self, error: Exception) -> str:
        if "certificate" in str(error).lower() or "ssl" in type(error).__name__.lower():
            return "give this [[scrape]] the ca_file of the program's certificate, and the name that is in it"
        return f"check that the program runs and listens at {urlsplit(self._config.url).netloc}"

    def _failure(self, what: str, hint: str) -> CollectFailure:
        return CollectFailure(f"{self._config.url} was not scraped: {what}", hint=hint)


def _plainly(error: Exception) -> str:
    """Without the library's object addresses, so that equal failures read equal."""
    import urllib3

    match error:
        case urllib3.exceptions.NameResolutionError():
            return "its name does not resolve"
        case urllib3.exceptions.NewConnectionError():
            text = str(error).rpartition("a new connection: ")[2]
            return excerpt((text or str(error)).encode()).lower()
        case urllib3.exceptions.ConnectTimeoutError():
            return "no connection in time"
        case urllib3.exceptions.TimeoutError() | TimeoutError():
            return "no answer in time"
        case _:
            return excerpt(str(error).encode())
