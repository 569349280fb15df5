"""InfluxDB's ``/api/v2/write``: InfluxDB 2 and 3, VictoriaMetrics, and truechimer's analyzer.

influxdb-client sends; its retries stay off (they live in memory and count on the wall clock) and its
points are not used: a batch is sent byte for byte as it was spooled, gzipped, over one kept connection.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from truechimer.errors import ConfigError
from truechimer.readings import monotonic_s
from truechimer_agent.sinks.answers import Answer, excerpt
from truechimer_agent.sinks.bounded import BoundedPool
from truechimer_agent.sinks.sending import Retry, Trouble
from truechimer_agent.sinks.sifting import Sifter
from truechimer_agent.sinks.tokens import TokenFile

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import urllib3
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.rest import ApiException
    from influxdb_client.service.write_service import WriteService

if TYPE_CHECKING:
    from truechimer.config.model import SinkConfig
    from truechimer_agent.sinks.sending import Sent


class InfluxSink:
    """One store that takes line protocol by ``/api/v2/write``. Raises ConfigError for a wrong address."""

    def __init__(self, config: SinkConfig) -> None:
        if not config.url.startswith(("http://", "https://")):
            raise ConfigError(f"sink url {config.url!r} is not http:// or https://")
        if config.ca_file is not None and not config.ca_file.is_file():
            raise ConfigError(f"sink ca_file {config.ca_file} is not there")
        self._config = config
        self._token = None if config.token_file is None else TokenFile(config.token_file)
        # No proxy= here: neither the client nor urllib3's PoolManager looks at http_proxy by itself.
        self._client: Any = InfluxDBClient(
            url=config.url,
            token="",
            org=config.org,
            timeout=_milliseconds(config.timeout_s),
            enable_gzip=True,
            retries=False,
            connection_pool_maxsize=1,
            ssl_ca_cert=None if config.ca_file is None else str(config.ca_file),
        )
        rest: Any = self._client.api_client.rest_client
        rest.pool_manager = BoundedPool(rest.pool_manager)
        self._known = False
        service: Any = WriteService
        self._service = service(self._client.api_client)

    def send(self, lines: bytes, *, timeout_s: float | None = None) -> Sent:
        """Send one batch; refused lines are taken out, the others are the store's. Raises Retry.

        Each exchange may take the configured time-out; ``timeout_s``, when given, is for all of them.
        """
        deadline_s = None if timeout_s is None else monotonic_s() + timeout_s
        self._authorize()
        sifter = Sifter(lambda part: self._post(part, deadline_s), known=self._known)
        try:
            return sifter.send(lines)
        finally:
            self._known = self._known or sifter.accepted

    def close(self) -> None:
        """Close the kept connection."""
        self._client.close()

    def _post(self, lines: bytes, deadline_s: float | None) -> Answer:
        now_s = monotonic_s()
        ends_s = now_s + self._config.timeout_s
        if deadline_s is not None:
            ends_s = min(ends_s, deadline_s)
        try:
            try:
                return self._exchange(lines, ends_s - now_s)
            except urllib3.exceptions.ProtocolError:
                # The store may have closed the kept connection meanwhile: once more on a fresh one.
                return self._exchange(lines, ends_s - monotonic_s())
        except urllib3.exceptions.HTTPError as error:
            raise Retry(_plainly(error)) from error
        except ApiException as error:
            # Only TLS failures get here: they have no response.
            raise Retry(
                _one_line(str(error.reason)),
                trouble=Trouble.CONFIGURATION,
                hint="check ca_file of this [[sink]] and the name in the store's certificate",
            ) from error

    def _exchange(self, lines: bytes, timeout_s: float) -> Answer:
        if timeout_s <= 0:
            raise Retry("no answer in time")
        try:
            response = self._service.post_write(
                org=self._config.org,
                bucket=self._config.bucket,
                body=lines,
                precision="ns",
                _preload_content=False,
                _request_timeout=_milliseconds(timeout_s),
            )
        except ApiException as error:
            if error.status is None or error.status == 0:
                raise
            return Answer(int(error.status), error.headers or {}, error.body or b"")
        return Answer(int(response.status), response.headers, response.data or b"")

    def _authorize(self) -> None:
        if self._token is None:
            return
        try:
            token = self._token.read()
        except OSError as error:
            raise Retry(
                f"cannot read token_file {self._token.path}: {error.strerror}",
                trouble=Trouble.CONFIGURATION,
                hint="make the file readable by the agent's user; it is read again by itself",
            ) from error
        except ValueError as error:
            raise Retry(
                str(error), trouble=Trouble.CONFIGURATION, hint="put one token on one line into the file"
            ) from error
        self._client.api_client.set_default_header("Authorization", f"Token {token}")


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _one_line(text: str) -> str:
    return excerpt(text.encode())


def _plainly(error: urllib3.exceptions.HTTPError) -> str:
    """The failure without the client's object addresses, so that equal failures read equal."""
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "the store's name does not resolve"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return _one_line(
            str(error).rpartition("failed to establish a new connection: ")[2] or str(error)
        ).lower()
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return "no connection in time"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    return _one_line(str(error))
