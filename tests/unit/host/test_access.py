"""Units of work of the embedded host, over its configuration and its database."""

from __future__ import annotations

import pytest

from ai_assistant.core.conversation import Turn
from ai_assistant.core.errors import DoesNotExistError
from ai_assistant.core.session import User
from ai_assistant.host.access import HostOpener
from ai_assistant.host.config import load_config
from ai_assistant.host.database import Database

ANN = User(name="ann@example.com")
TURN = Turn(
    user=ANN.name,
    conversation="c",
    is_new=True,
    message_id="m",
    task_id="t",
    model="demo",
    messages=[{"role": "user", "content": "Hello"}],
    title="Hello",
)


@pytest.fixture
def config(tmp_path):
    return load_config(environ={}, overrides={"data_dir": tmp_path})


@pytest.fixture
def opener(config):
    database = Database.open(config.database)
    yield HostOpener(config, database)
    database.close()


def test_settings_and_models_are_those_of_the_configuration(opener, config):
    with opener.open("assistant.localhost") as access:
        assert access.settings() is config.settings
        assert list(access.models()) == ["demo"]


def test_another_site_does_not_exist(opener):
    with (
        pytest.raises(DoesNotExistError, match=r"this server is assistant\.localhost, not 'other'"),
        opener.open("other"),
    ):
        pass


def test_a_unit_is_committed_when_it_ends_well(opener):
    with opener.open("assistant.localhost") as access:
        access.conversations.begin(TURN)
    with opener.open("assistant.localhost") as access:
        assert access.conversations.exists(ANN, "c")


def test_a_unit_that_raises_leaves_nothing(opener):
    def work():
        with opener.open("assistant.localhost") as access:
            access.conversations.begin(TURN)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    with opener.open("assistant.localhost") as access:
        assert not access.conversations.exists(ANN, "c")
