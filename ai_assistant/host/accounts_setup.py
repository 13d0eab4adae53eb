"""Brings the accounts in line with the configuration at start."""

from __future__ import annotations

import logging

from ai_assistant.core.errors import ConfigError
from ai_assistant.core.session import ADMINISTRATOR, MANAGER_ROLE
from ai_assistant.host.apikeys import ApiKeys
from ai_assistant.host.auth import Auth
from ai_assistant.host.config import HostConfig
from ai_assistant.host.database import Database
from ai_assistant.host.origin import is_loopback
from ai_assistant.host.sessions import Sessions
from ai_assistant.host.users import Users, check_name

log = logging.getLogger(__name__)

#: Label of the key that other commands on this machine use while the host runs.
RUN_LABEL = "this machine's commands"


def prepare_accounts(config: HostConfig, database: Database) -> Auth:
    """Administrator and the configuration's users; ends keys that a killed host left behind. Blocks.

    Raises ConfigError when the server would be reachable from outside and nobody has a password.
    """
    auth = Auth(Users(database), Sessions(database), ApiKeys(database))
    auth.users.ensure(ADMINISTRATOR, full_name=ADMINISTRATOR, roles=(MANAGER_ROLE,), password=config.admin_password)
    for user in config.users:
        check_name(user.name)
        roles = (MANAGER_ROLE,) if user.name == ADMINISTRATOR else user.roles
        auth.users.ensure(
            user.name,
            full_name=user.full_name,
            roles=roles,
            password=user.password,
            password_hash=user.password_hash,
        )
    for name in auth.users.follow_config(user.name for user in config.users if user.name != ADMINISTRATOR):
        log.warning("user %s is no longer in the configuration and is kept out", name)
    auth.api_keys.revoke_label(RUN_LABEL)
    if not is_loopback(config.host) and not auth.users.any_password():
        raise ConfigError(
            "host",
            f"{config.host} can be reached from other machines, and nobody has a password. Set "
            "AI_ASSISTANT_ADMIN_PASSWORD, or run: ai-assistant user set-password Administrator",
        )
    return auth
