"""AI Model documents as the core's configuration. Read by three queries, whatever their number."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Any

import frappe
import msgspec
from frappe.utils.password import decrypt

from ai_assistant.core.model import ModelConfig, Prices, Timeouts

log = logging.getLogger("ai_assistant.site")

DOCTYPE = "AI Model"
CACHE_KEY = "ai_assistant_models"
CACHED_FOR_S = 60
"""A change that goes past the document (SQL, `db.set_value`) is seen after this."""
FIELDS = (
    "name",
    "model",
    "title",
    "api_base",
    "transport",
    "wire",
    "enabled",
    "parameters",
    "own_prices",
    "input_price",
    "output_price",
    "cached_input_price",
    "context_window",
    "max_streams",
    "retries",
    "connect_timeout",
    "first_token_timeout",
    "idle_timeout",
    "total_timeout",
)


def known_models() -> dict[str, ModelConfig]:
    """Every AI Model by name without its key, from Frappe's cache: three queries less in each web request."""
    found = frappe.cache.get_value(CACHE_KEY, expires=True)
    if found is None:
        found = msgspec.json.encode(list(stored_models(with_keys=False).values()))
        frappe.cache.set_value(CACHE_KEY, found, expires_in_sec=CACHED_FOR_S)
    return {model.name: model for model in msgspec.json.decode(found, type=list[ModelConfig])}


def forget_models() -> None:
    """Empties the cache when a model is changed: now for this transaction, and again once others can see the change,
    since one of them may have filled it with the old rows in between."""
    frappe.cache.delete_value(CACHE_KEY)
    frappe.db.after_commit.add(lambda: frappe.cache.delete_value(CACHE_KEY))


def stored_models(*, with_keys: bool) -> dict[str, ModelConfig]:
    """Every AI Model by name, disabled ones too, in the order of their making.

    By the query builder, not `frappe.get_all`: a worker does this for each task, and it takes half of the CPU.
    """
    models = frappe.qb.DocType(DOCTYPE)
    query = frappe.qb.from_(models).select(*(models[name] for name in FIELDS))
    rows = query.orderby(models.creation).orderby(models.name).run(as_dict=True)
    fallbacks, roles = children("AI Model Fallback", "model"), children("AI Model Role", "role")
    keys = stored_keys() if with_keys else {}
    return {row.name: config_of(row, fallbacks[row.name], roles[row.name], keys.get(row.name)) for row in rows}


def config_of(row: Any, fallbacks: list[str], roles: list[str], api_key: str | None) -> ModelConfig:
    """The configuration that a row and its child rows make."""
    return ModelConfig(
        name=row.name,
        model=row.model,
        title=row.title or "",
        api_base=row.api_base or None,
        api_key=api_key,
        transport=row.transport or "auto",
        wire=row.wire or None,
        enabled=bool(row.enabled),
        parameters=parsed_parameters(row.parameters),
        fallbacks=tuple(fallbacks),
        prices=prices_of(row),
        roles=tuple(roles),
        context_window=row.context_window or None,
        max_streams=row.max_streams or 64,
        timeouts=timeouts_of(row),
        retries=row.retries or 0,
    )


def prices_of(row: Any) -> Prices:
    """The form's own prices, a 0 among them too; none where the box is not ticked."""
    if not row.own_prices:
        return Prices()
    return Prices(input=row.input_price or 0, output=row.output_price or 0, cached_input=row.cached_input_price or None)


def timeouts_of(row: Any) -> Timeouts:
    """The four limits in seconds."""
    values = {name: row.get(f"{name}_timeout") for name in Timeouts.__struct_fields__}
    return Timeouts(**{name: float(value) for name, value in values.items() if value})


def parsed_parameters(text: str | None) -> dict[str, Any]:
    """The JSON of a form's parameters, which the form has checked."""
    return msgspec.json.decode(text, type=dict[str, Any]) if text and text.strip() else {}


def children(doctype: str, field: str) -> defaultdict[str, list[str]]:
    """The child rows of all models by their parent, in order."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    table = frappe.qb.DocType(doctype)
    query = frappe.qb.from_(table).select(table.parent, table[field]).where(table.parenttype == DOCTYPE)
    for parent, value in query.orderby(table.parent).orderby(table.idx).run():
        found[parent].append(value)
    return found


def stored_keys() -> dict[str, str]:
    """The API keys in clear by model. One that cannot be decrypted (the site's encryption key changed) is left out
    with a log line, so that the provider's refusal is what the user sees."""
    auth = frappe.qb.Table("__Auth")
    query = frappe.qb.from_(auth).select(auth.name, auth.password)
    query = query.where((auth.doctype == DOCTYPE) & (auth.fieldname == "api_key") & (auth.encrypted == 1))
    keys = {}
    for name, secret in query.run():
        try:
            keys[name] = decrypt(secret)
        except Exception as error:  # noqa: BLE001  # Frappe throws by way of a message; the others must go on
            log.error("the API key of model %s cannot be decrypted; enter it again (%s)", name, type(error).__name__)
    return keys
