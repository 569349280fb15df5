"""Loading: a file or text to a checked configuration with its warnings."""

from __future__ import annotations

import socket
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from truechimer.config.model import AgentConfig, AnalyzerConfig
from truechimer.config.walking import Problem, build
from truechimer.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")
Kind = Literal["agent", "analyzer"]

ROOTS: dict[Kind, type[Any]] = {"agent": AgentConfig, "analyzer": AnalyzerConfig}
_UNBUILT_SECTIONS = ("alerts",)
_LARGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """A checked configuration; ``warnings`` are sentences, ``path`` None when it is all defaults or text."""

    config: T
    warnings: tuple[str, ...] = ()
    path: Path | None = None


def load_agent(path: Path | None = None) -> Loaded[AgentConfig]:
    """``agent.toml``, or the defaults when ``path`` is None. Raises ConfigError naming every problem."""
    if path is None:
        return parse_agent("", source="defaults")
    loaded = parse_agent(read_text(path), source=path.name)
    return replace(loaded, path=path)


def load_analyzer(path: Path | None = None) -> Loaded[AnalyzerConfig]:
    """``analyzer.toml``, or the defaults when ``path`` is None. Raises ConfigError naming every problem."""
    if path is None:
        return parse_analyzer("", source="defaults")
    loaded = parse_analyzer(read_text(path), source=path.name)
    return replace(loaded, path=path)


def parse_agent(text: str, *, source: str = "agent.toml") -> Loaded[AgentConfig]:
    """The agent's configuration from TOML text; ``node`` becomes the host's name when it is not given."""
    config = _checked(AgentConfig, document_of(text, source), source)
    if not config.node:
        config = replace(config, node=socket.gethostname() or "localhost")
    return Loaded(config, tuple(_unbuilt(config)))


def parse_analyzer(text: str, *, source: str = "analyzer.toml") -> Loaded[AnalyzerConfig]:
    """The analyzer's configuration from TOML text."""
    config = _checked(AnalyzerConfig, document_of(text, source), source)
    return Loaded(config, tuple(_unbuilt(config)))


def kind_of(document: dict[str, Any]) -> Kind:
    """Which of the two files a document looks like: whose top-level keys it has more of."""
    agent = sum(key in AgentConfig.__dataclass_fields__ for key in document)
    analyzer = sum(key in AnalyzerConfig.__dataclass_fields__ for key in document)
    return "analyzer" if analyzer > agent else "agent"


def read_text(path: Path) -> str:
    """The text of a configuration file. Raises ConfigError when it cannot be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
        if len(raw) > _LARGEST_FILE:
            raise ConfigError(f"reading {path}: it is larger than {_LARGEST_FILE} bytes")
        return raw.decode()
    except FileNotFoundError as error:
        raise ConfigError(f"reading {path}: there is no such file", hint="name it with --config") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"reading {path}: it is not UTF-8 text") from error
    except OSError as error:
        raise ConfigError(f"reading {path}: {error.strerror}") from error


def document_of(text: str, source: str) -> dict[str, Any]:
    """TOML text to a document. Raises ConfigError with line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{source} is not TOML: {error}", hint='strings need quotes: node = "db-1"'
        ) from error
    except RecursionError as error:
        raise ConfigError(f"{source} is not TOML of ours: it is nested too deeply") from error


def _checked(cls: type[T], document: dict[str, Any], source: str) -> T:
    problems: list[Problem] = []
    config: T | None = build(cls, document, problems)
    if config is not None:
        return config
    other: Kind = "analyzer" if cls is AgentConfig else "agent"
    said = [problem.says(source) + _belongs_to(problem, other) for problem in problems]
    hint = "`truechimer config show` prints every key with its default"
    if len(said) == 1:
        raise ConfigError(said[0], hint=hint)
    raise ConfigError(f"{source} has {len(said)} problems:\n  " + "\n  ".join(said), hint=hint)


def _belongs_to(problem: Problem, other: Kind) -> str:
    if problem.unknown and problem.key in ROOTS[other].__dataclass_fields__:
        return f" (it belongs into {other}.toml)"
    return ""


def _unbuilt(config: AgentConfig | AnalyzerConfig) -> list[str]:
    """Sentences about what validates but is not built yet."""
    absent = type(config)()
    said = [
        f"[{name}] is not built yet: it is checked and otherwise ignored"
        for name in _UNBUILT_SECTIONS
        if getattr(config, name, None) != getattr(absent, name, None)
    ]
    if isinstance(config, AgentConfig):
        kinds = sorted({sink.kind for sink in config.sink} - {"influx"})
        said += [f'[[sink]] kind = "{kind}" is not built yet: nothing is sent there' for kind in kinds]
    elif not config.store.address.startswith("embedded:"):
        said.append("store.address: only embedded:DIR is built yet")
    return said
