"""AI Model: a model that users may choose, and how it is reached."""

import json
from collections import defaultdict

import frappe
from frappe import _
from frappe.model.document import Document

from ai_assistant.core import model_rules

TIMEOUTS = ("connect_timeout", "first_token_timeout", "idle_timeout", "total_timeout")


class AIModel(Document):
    """The rules of `core.model_rules`, held to the form."""

    def validate(self):
        """Raises ValidationError with the field and what to do."""
        for field in ("model", "api_base"):
            if not isinstance(self.get(field) or "", str):
                self.refuse(field, _("must be a text"))
        self.model = (self.model or "").strip()
        self.api_base = (self.api_base or "").strip().rstrip("/")
        self.refuse("model", model_rules.model_problem(self.model))
        if self.api_base:
            self.refuse("api_base", model_rules.api_base_problem(self.api_base))
        if self.wire and self.transport == "litellm":
            self.refuse("wire", _("has no use with the transport litellm; empty one of the two"))
        self.refuse("parameters", parameters_problem(self.parameters))
        self.validate_key()
        self.validate_limits()
        self.validate_fallbacks()

    def on_change(self):
        """Inserted, saved, written by `db_set` or deleted: requests read a cached copy."""
        from ai_assistant.site.models import forget_models

        forget_models()

    def after_rename(self, old, new, merge=False):
        """See `on_change`, which a renaming does not call."""
        self.on_change()

    def validate_key(self):
        """A stored key stays with the server that it was entered for: who may edit a model cannot read its key, and
        would have it sent to a server of theirs."""
        before = self.get_doc_before_save()
        if not before or not self.api_key or not self.is_dummy_password(self.api_key):
            return
        old, new = (model_rules.key_goes_to(model.model, model.api_base) for model in (before, self))
        if old != new:
            self.refuse("api_key", _("enter it again, since Model and API Base now name another server"))

    def validate_limits(self):
        """Time and streams: nothing works with none of them."""
        for field in TIMEOUTS:
            if not self.get(field) or self.get(field) <= 0:
                self.refuse(field, _("must be more than 0 seconds"))
        if not self.max_streams or self.max_streams < 1:
            self.refuse("max_streams", _("must be at least 1"))

    def validate_fallbacks(self):
        """Fallbacks are other models, each once, and never lead back here."""
        own = [row.model for row in self.fallbacks]
        for row in self.fallbacks:
            if row.model == self.name:
                self.refuse("fallbacks", _("row {0} is this model itself; take it out").format(row.idx))
            if own.count(row.model) > 1:
                self.refuse("fallbacks", _("{0} is there twice; take one out").format(row.model))
        if loop := model_rules.fallback_loop({**fallbacks_by_model(), self.name: own}, self.name):
            way = " → ".join(loop)
            self.refuse("fallbacks", _("lead back to this model ({0}); take one of them out").format(way))

    def refuse(self, field, problem):
        """Throws when there is a problem, naming the field by its label."""
        if problem:
            frappe.throw(f"{_(self.meta.get_label(field))}: {problem}")


def fallbacks_by_model():
    """Every model's fallbacks as they are stored."""
    found = defaultdict(list)
    rows = frappe.get_all(
        "AI Model Fallback", filters={"parenttype": "AI Model"}, fields=["parent", "model"], order_by="parent, idx"
    )
    for row in rows:
        found[row.parent].append(row.model)
    return found


def parameters_problem(text):
    """What is wrong with a form's JSON of parameters; nothing with an empty one."""
    if not text:
        return None
    if not isinstance(text, str):
        return _("must be JSON, written as a text")
    if not text.strip():
        return None
    try:
        return model_rules.parameters_problem(json.loads(text))
    except ValueError as error:
        return _("is not valid JSON: {0}").format(error)
