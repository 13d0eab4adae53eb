"""The app keeps every rule of Frappe that these files know."""

from __future__ import annotations

import pytest

from . import desk_rules, doctype_rules, endpoint_rules, hook_rules, packaging_rules, source_rules
from .app import REPOSITORY, RULES, App

FILES = (desk_rules, doctype_rules, endpoint_rules, hook_rules, packaging_rules, source_rules)


@pytest.fixture(scope="module")
def app():
    return App(REPOSITORY)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_app_keeps(rule, app):
    assert list(rule(app)) == []
