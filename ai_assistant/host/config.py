"""The embedded host's configuration: one TOML file and the environment. `examples/ai-assistant.toml` shows all keys.

What wins: the command line, then the environment (`ENVIRONMENT`), then the file, then the defaults. The file is the one
that was named, else `ai-assistant.toml` in the data folder where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from ai_assistant.core.errors import ConfigError
from ai_assistant.core.model import ModelConfig
from ai_assistant.core.otel import OtelConfig
from ai_assistant.core.settings import Settings
from ai_assistant.host.config_metrics import MetricsConfig, metrics_of
from ai_assistant.host.config_models import DEMO_MODEL, models_of_environment, models_of_file
from ai_assistant.host.config_otel import otel_of
from ai_assistant.host.config_settings import settings_of
from ai_assistant.host.config_table import ConfigTable
from ai_assistant.host.config_traces import TraceConfig, traces_of
from ai_assistant.host.config_users import UserConfig, check_length, users_of

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

FILE_NAME = "ai-assistant.toml"

ENVIRONMENT = {
    "AI_ASSISTANT_SITE": "site",
    "AI_ASSISTANT_HOST": "host",
    "AI_ASSISTANT_PORT": "port",
    "AI_ASSISTANT_DATA_DIR": "data_dir",
    "AI_ASSISTANT_ALLOWED_HOSTS": "allowed_hosts",
    "AI_ASSISTANT_LOG_FORMAT": "log_format",
    "AI_ASSISTANT_LOG_LEVEL": "log_level",
    "AI_ASSISTANT_DEFAULT_MODEL": "default_model",
    "AI_ASSISTANT_DATABASE_URL": "database_url",
    "REDIS_URL": "redis_url",
    "AI_ASSISTANT_REDIS_URL": "redis_url",
}
"""Each variable and the key it stands for; a later one wins. Lists are separated by commas. Besides these:
`AI_ASSISTANT_CONFIG` (path of the file), `AI_ASSISTANT_ADMIN_PASSWORD` (Administrator's password),
`AI_ASSISTANT_OLLAMA_MODELS` (names, with commas), and, where the file has no `[[models]]`, `ANTHROPIC_API_KEY`,
`OPENAI_API_KEY`, `DEEPSEEK_API_KEY` and `OLLAMA_HOST`; and OpenTelemetry's own (`core.otel`), which win over
`[otel]`."""

_SITE = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_HOST = re.compile(r"[A-Za-z0-9.:\-\[\]]{1,253}")


class HostConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All that the embedded host is told from outside."""

    data_dir: Path
    models: tuple[ModelConfig, ...]
    settings: Settings = Settings()
    users: tuple[UserConfig, ...] = ()
    site: str = "assistant.localhost"
    host: str = "127.0.0.1"
    port: int = 8000
    """0 means: any that is free."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names it answers to, besides the site's and those of loopback."""
    log_format: Literal["text", "json"] = "text"
    log_level: str = "info"
    redis_url: str | None = None
    """`None`: the host brings its own Redis."""
    database_url: str | None = None
    """`None`: SQLite in the data folder."""
    admin_password: str | None = None
    metrics: MetricsConfig = MetricsConfig()
    traces: TraceConfig = TraceConfig()
    otel: OtelConfig = OtelConfig()
    source: Path | None = None
    """The file it came from."""

    @property
    def database(self) -> str | Path:
        """What `Database.open` wants."""
        return self.database_url or self.data_dir / "assistant.db"

    @property
    def trace_redis_url(self) -> str | None:
        """The Redis of the traces' stream; `None`: the host's own, which it brings."""
        return self.traces.redis_url or self.redis_url

    @property
    def is_demo(self) -> bool:
        """Whether only the built-in demonstration model is there."""
        return all(model.demo for model in self.models)

    def models_by_name(self) -> dict[str, ModelConfig]:
        """Every model by its name, in the file's order."""
        return {model.name: model for model in self.models}

    def with_model(self, model: ModelConfig) -> HostConfig:
        """The same with one model replaced: the demonstration model gets its address this way."""
        models = tuple(model if old.name == model.name else old for old in self.models)
        return msgspec.structs.replace(self, models=models)

    def __repr__(self) -> str:
        """Without passwords and without URLs, which may hold some."""
        names = [model.name for model in self.models]
        return f"HostConfig(site={self.site!r}, data_dir={str(self.data_dir)!r}, models={names!r})"


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """`ai-assistant` in the user's data folder (XDG Base Directory Specification, `XDG_DATA_HOME`)."""
    base = environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "ai-assistant"


def load_config(
    path: str | Path | None = None, *, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> HostConfig:
    """The configuration. `path` and `overrides` come from the command line; an override of `None` does not count.

    Raises ConfigError, which names the key: by its path in the file, or the environment variable.
    """
    given = _given(environ, overrides or {})
    source = _source(path or environ.get("AI_ASSISTANT_CONFIG") or None, given, environ)
    data = _read(source) if source else {}
    _override(data, given)
    root = ConfigTable(data, "", environ, names={key: name for key, (name, _) in given.items()})
    models = models_of_file(root, environ) or models_of_environment(environ) or (DEMO_MODEL,)
    settings = settings_of(root, models)
    config = HostConfig(
        **_server(root, environ),
        models=tuple(_marked(model, settings.default_model) for model in models),
        settings=settings,
        users=users_of(root),
        admin_password=_admin_password(environ),
        metrics=metrics_of(root),
        traces=traces_of(root),
        otel=otel_of(root, environ),
        source=source,
    )
    root.done()
    return config


def _given(environ: Mapping[str, str], overrides: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Keys set from outside the file: key → (what to call it in an error, value)."""
    found = {key: (name, environ[name]) for name, key in ENVIRONMENT.items() if environ.get(name, "").strip()}
    for key, value in overrides.items():
        if value is not None:
            found[key] = (f"--{key.replace('_', '-')}", value)
    return found


def _override(data: dict[str, Any], given: Mapping[str, tuple[str, Any]]) -> None:
    """Puts what was given over the file's values, in the type that the file would have."""
    value: Any
    for key, (name, value) in given.items():
        if key == "port" and isinstance(value, str):
            if not value.strip().isdecimal():
                raise ConfigError(name, "must be a port number from 0 to 65535")
            value = int(value)
        if key == "allowed_hosts":
            parts = value.split(",") if isinstance(value, str) else value
            value = [part.strip() for part in parts if part.strip()]
        data[key] = str(value) if isinstance(value, Path) else value


def _source(path: str | Path | None, given: Mapping[str, tuple[str, Any]], environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one named, which must be there, or the one in the data folder."""
    if path is not None:
        named = Path(path).expanduser()
        if not named.is_file():
            raise ConfigError("config", f"there is no file {named}")
        return named
    folder = Path(given["data_dir"][1]).expanduser() if "data_dir" in given else default_data_dir(environ)
    return folder / FILE_NAME if (folder / FILE_NAME).is_file() else None


def _read(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("config", f"{source} is not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError("config", f"{source} cannot be read: {error.strerror}") from error


def _server(root: ConfigTable, environ: Mapping[str, str]) -> dict[str, Any]:
    """The keys of the server itself."""
    default = default_data_dir(environ)
    site = cast(str, root.text("site", "assistant.localhost"))
    if not _SITE.fullmatch(site):
        raise root.error("site", "must be a host name in lower case, for example assistant.localhost")
    return {
        "site": site,
        "host": _host(root, "host", cast(str, root.text("host", "127.0.0.1"))),
        "port": root.integer("port", 8000, high=65535),
        "data_dir": Path(cast(str, root.text("data_dir", str(default)))).expanduser().absolute(),
        "allowed_hosts": tuple(
            _host(root, f"allowed_hosts[{i}]", name) for i, name in enumerate(root.strings("allowed_hosts"))
        ),
        "log_format": root.text("log_format", "text", choices=("text", "json")),
        "log_level": root.text("log_level", "info", choices=("debug", "info", "warning", "error")),
        "redis_url": _url(root, "redis_url", ("redis://", "rediss://", "unix://")),
        "database_url": _url(root, "database_url", ()),
    }


def _host(root: ConfigTable, key: str, name: str) -> str:
    if not _HOST.fullmatch(name):
        raise root.error(key, "must be a host name or an address, without scheme and path")
    return name


def _url(root: ConfigTable, key: str, schemes: tuple[str, ...]) -> str | None:
    """A URL, which is not shown in the error: it may hold a password."""
    url = root.secret(key)
    if url and ("://" not in url or (schemes and not url.startswith(schemes))):
        raise root.error(key, f"must begin with {' or '.join(schemes)}" if schemes else "must be a SQLAlchemy URL")
    return url


def _marked(model: ModelConfig, default: str | None) -> ModelConfig:
    return msgspec.structs.replace(model, is_default=model.name == default)


def _admin_password(environ: Mapping[str, str]) -> str | None:
    password = environ.get("AI_ASSISTANT_ADMIN_PASSWORD") or None
    check_length("AI_ASSISTANT_ADMIN_PASSWORD", password)
    return password
