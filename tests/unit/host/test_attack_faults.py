"""A database that fails, hashes and names that cannot work, and what `status` tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hosting import PASSWORD, WebHost

from ai_assistant.core import service
from ai_assistant.core.errors import ConfigError, ValidationError
from ai_assistant.core.session import MANAGER_ROLE, User
from ai_assistant.host.config import load_config
from ai_assistant.host.run_file import DataFolder
from ai_assistant.host.users import check_name


async def test_a_database_that_cannot_be_written_is_503(host: WebHost, http: httpx.AsyncClient) -> None:
    with host.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")  # of this pooled connection, as a full disk is of all
    answer = await http.post("/api/method/login", json={"usr": "ann", "pwd": PASSWORD})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
    assert "readonly" not in answer.text


@pytest.mark.parametrize(
    ("user", "key"),
    [
        ('name = "x"\npassword = "scrypt$1073741824$8$1$AAAA$BBBB"', "users[0].password"),
        ('name = "x"\npassword = "scrypt$16384$8$1$A$B"', "users[0].password"),
        ('name = "a:b"', "users[0].name"),
        ('name = "ann\\u202e"', "users[0].name"),
    ],
)
def test_a_user_that_cannot_work_stops_the_start_by_its_key(tmp_path: Path, user: str, key: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[[users]]\n{user}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ={}, overrides={"data_dir": tmp_path})
    assert caught.value.key == key


@pytest.mark.parametrize("name", ["ann\u200b", "ann\u202e", "\ufeffann", "a\x7fb", "a\x85b"])
def test_a_name_that_looks_like_another_is_none(name: str) -> None:
    with pytest.raises(ValidationError):
        check_name(name)


def test_nobody_else_can_hold_the_lock_of_a_folder_that_others_may_enter(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = DataFolder(tmp_path)
    folder.lock()
    assert (tmp_path / "lock").stat().st_mode & 0o077 == 0
    folder.release()


class StatusHost:
    """As much of a host as `status` asks for."""

    site = "assistant.localhost"

    def __init__(self, user: User):
        self.user = lambda: user

    def tasks(self) -> Any:
        """Its own tasks."""
        return self

    def health(self) -> dict[str, Any]:
        """What a worker that uses a provider says of itself."""
        return {
            "ok": True,
            "redis": {"ok": False},
            "trace_consumers": [{"id": "c", "error": "database said: http://in"}],
            "traces": None,
            "workers": [{"worker": "w", "age_ms": 1, "gateway": {"providers": {"openai http://in": 1}}}],
        }


@pytest.mark.parametrize(("roles", "told"), [(frozenset({MANAGER_ROLE}), True), (frozenset({"AI User"}), False)])
def test_only_a_manager_is_told_the_addresses_of_providers(roles: frozenset[str], told: bool) -> None:
    answer = service.status(StatusHost(User(name="u", full_name="U", roles=roles)))  # type: ignore[arg-type]
    assert ("http://in" in str(answer)) is told
    assert answer["workers"][0]["worker"] == "w"
