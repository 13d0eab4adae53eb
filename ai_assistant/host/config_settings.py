"""The settings of the embedded host: `default_model`, `[modes.*]`, `[limits]` and `[tasks]` of the config file, and
what `[traces]` says of chats."""

from __future__ import annotations

from typing import Any

from ai_assistant.core.model import ModelConfig
from ai_assistant.core.settings import Limits, Mode, Settings
from ai_assistant.host.config_models import parameters_of
from ai_assistant.host.config_table import ConfigTable


def settings_of(root: ConfigTable, models: tuple[ModelConfig, ...]) -> Settings:
    """`default_model`, `[modes.*]`, `[limits]` and `[tasks]`; `chats` and `content` of `[traces]`."""
    enabled = [model.name for model in models if model.enabled]
    if not enabled:
        raise root.error("models", "every model is disabled; enable one")
    default = _known(root, "default_model", enabled, root.text("default_model")) or enabled[0]
    limits, tasks = root.table("limits"), root.table("tasks")
    settings = Settings(
        default_model=default,
        modes=_modes(root.table("modes"), enabled),
        limits=Limits(**_integers(limits, Limits())),
        **_tasks(tasks),
        **_chat_traces(root.table("traces")),
    )
    limits.done()
    tasks.done()
    return settings


def _integers(table: ConfigTable, defaults: Limits) -> dict[str, int]:
    return {name: table.integer(name, getattr(defaults, name)) for name in defaults.__struct_fields__}


def _tasks(table: ConfigTable) -> dict[str, Any]:
    """Settings of requests and tasks; each must be more than nothing."""
    default = Settings()
    whole = ("max_backlog", "max_messages", "max_request_bytes", "task_ttl_s", "max_log_bytes")
    found: dict[str, Any] = {name: table.integer(name, getattr(default, name), low=1) for name in whole}
    for name in ("no_worker_after_s", "wait_timeout_s"):
        found[name] = table.number(name, getattr(default, name), above=True)
    return found


def _chat_traces(table: ConfigTable) -> dict[str, bool]:
    """What is traced of chats; the rest of the table is `config_traces`'s."""
    default = Settings()
    return {
        "trace_chats": table.boolean("chats", default.trace_chats),
        "trace_content": table.boolean("content", default.trace_content),
    }


def _modes(table: ConfigTable, enabled: list[str]) -> dict[str, Mode]:
    """`[modes.ask]` and `[modes.agent]`; what is left out stays as it is built in."""
    modes = {}
    for name, default in Settings().modes.items():
        mode = table.table(name)
        prompt = mode.text("system_prompt", default.system_prompt)
        model = _known(mode, "model", enabled, mode.text("model"))
        modes[name] = Mode(system_prompt=prompt or "", model=model, parameters=parameters_of(mode))
        mode.done()
    table.done()
    return modes


def _known(table: ConfigTable, key: str, enabled: list[str], name: str | None) -> str | None:
    if name is not None and name not in enabled:
        raise table.error(key, f'there is no enabled model "{name}"; there are: {", ".join(enabled)}')
    return name
