"""The forms hold what the core reads: a setting added to one and forgotten in the other shows here."""

from __future__ import annotations

from typing import get_args

import msgspec
from frappe_rules import NO_VALUE, load_all

from ai_assistant.core import model_rules
from ai_assistant.core.chat import MODES
from ai_assistant.core.conversation import MessageStatus, StoredMessage
from ai_assistant.core.model import ModelConfig
from ai_assistant.core.settings import Limits, Mode, Settings
from ai_assistant.core.task import Timings
from ai_assistant.core.usage import Usage

ALL = load_all()
SITE_ALONE = {"trace_max_mb"}
"""Settings of a site that the embedded host has in another place (`[traces]`, `host.config_traces`)."""


def fields(doctype):
    return {
        field["fieldname"]: field for field in ALL[doctype]["fields"] if field["fieldtype"] not in NO_VALUE - {"Table"}
    }


def options(doctype, field):
    return [option for option in fields(doctype)[field]["options"].split("\n") if option]


def test_settings_have_every_setting_with_its_default():
    form = fields("ai_assistant_settings")
    defaults = msgspec.to_builtins(Settings()) | msgspec.to_builtins(Limits())
    del defaults["limits"]
    assert form.keys() == defaults.keys() | SITE_ALONE
    for name, value in defaults.items():
        if isinstance(value, (int, float)):
            assert float(form[name]["default"]) == value, name


def test_a_row_of_modes_is_a_mode():
    assert fields("ai_assistant_mode").keys() == {"mode", *Mode.__struct_fields__}
    assert options("ai_assistant_mode", "mode") == list(MODES)


def test_a_model_has_every_property_of_a_model():
    form = set(fields("ai_model"))
    elsewhere = {
        "name": {"model_name"},
        "prices": {"own_prices", "input_price", "output_price", "cached_input_price"},
        "timeouts": {"connect_timeout", "first_token_timeout", "idle_timeout", "total_timeout"},
        "is_default": set(),  # a setting of AI Assistant Settings
        "demo": set(),  # of the embedded host alone
    }
    wanted = set()
    for name in ModelConfig.__struct_fields__:
        wanted |= elsewhere.get(name, {name})
    assert form == wanted


def test_defaults_of_a_model_are_those_of_the_core():
    form, model = fields("ai_model"), ModelConfig(name="m", model="m")
    for name in ("max_streams", "retries"):
        assert int(form[name]["default"]) == getattr(model, name)
    for name in ("connect", "first_token", "idle", "total"):
        assert float(form[f"{name}_timeout"]["default"]) == getattr(model.timeouts, name)
    assert options("ai_model", "transport") == list(model_rules.TRANSPORTS)
    assert options("ai_model", "wire") == list(model_rules.WIRES)


def test_a_message_holds_what_a_stored_message_has():
    form = set(fields("ai_message"))
    elsewhere = {
        "name": set(),
        "creation": set(),
        "usage": set(Usage.__struct_fields__),
        "timings": set(Timings.__struct_fields__),
    }
    for name in StoredMessage.__struct_fields__:
        assert elsewhere.get(name, {name}) <= form, name
    assert options("ai_message", "status") == list(get_args(MessageStatus))
    assert set(options("ai_message", "role")) == {"system", "user", "assistant", "tool"}
