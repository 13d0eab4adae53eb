"""The table `[metrics]` of the config file."""

from __future__ import annotations

import msgspec

from ai_assistant.host.config_table import ConfigTable


class MetricsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the embedded host is told of its figures."""

    public: bool = False
    """Whether programs of this machine get `/metrics` without a key."""


def metrics_of(root: ConfigTable) -> MetricsConfig:
    """`[metrics]`; what is left out is the default."""
    table = root.table("metrics")
    found = MetricsConfig(public=table.boolean("public", False))
    table.done()
    return found
