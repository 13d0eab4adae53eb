"""Who may do what: roles, their users, and changes of permissions that open conversations or keys to others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from ai_assistant.core.session import MANAGER_ROLE
from ai_assistant.site.doctor.finding import Finding, Subject, failure, note, ok, warning

USER_ROLE = "AI User"
PRIVATE = ("AI Conversation", "AI Message")
CONFIGURATION = ("AI Model", "AI Assistant Settings")
SHOWN = 5


def check(subject: Subject) -> Iterator[Finding]:
    """Roles, permissions, shares, settings."""
    with subject.open() as access:
        yield from roles(subject)
        yield from hooks()
        yield from guards()
        for doctype in PRIVATE:
            yield from opened(doctype)
        for doctype in CONFIGURATION:
            yield from writable(doctype)
        yield from shared()
        yield settings(access)


def roles(subject: Subject) -> Iterator[Finding]:
    """Both roles exist; somebody has them."""
    import frappe

    missing = [role for role in (USER_ROLE, MANAGER_ROLE) if not frappe.db.exists("Role", role)]
    if missing:
        yield failure(
            "permissions.roles",
            f"The role {' and '.join(missing)} is missing on this site.",
            f"{subject.bench_site} execute ai_assistant.install.make_roles",
            missing=missing,
        )
        return
    for role in (USER_ROLE, MANAGER_ROLE):
        users = users_with(role)
        if users:
            yield ok("permissions.roles", f"{role}: {named(users)}", role=role, users=len(users))
        else:
            yield note(
                "permissions.roles",
                f"Nobody but Administrator has the role {role}.",
                "In the Desk: /app/user, open the user, tick the role under Roles",
                role=role,
                users=0,
            )


def users_with(role: str) -> list[str]:
    """The enabled users who have a role, Administrator left out."""
    import frappe

    holders = frappe.get_all("Has Role", filters={"role": role, "parenttype": "User"}, pluck="parent")
    enabled = frappe.get_all("User", filters={"enabled": 1, "name": ("in", holders or [""])}, pluck="name")
    return sorted(set(enabled) - {"Administrator", "Guest"})


def named(users: list[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(users) - SHOWN} more" if len(users) > SHOWN else ""
    return f"{', '.join(users[:SHOWN])}{more}"


def hooks() -> Iterator[Finding]:
    """The rules that keep conversations their users' own, whatever the permissions say."""
    import frappe

    for hook in ("has_permission", "permission_query_conditions"):
        registered = frappe.get_hooks(hook) or {}
        lost = [
            doctype for doctype in PRIVATE if not any("ai_assistant." in path for path in registered.get(doctype, []))
        ]
        if lost:
            yield failure(
                "permissions.hooks",
                f"The hook {hook} of {' and '.join(lost)} is not in force: others may read conversations.",
                "bench restart; bench clear-cache",
                doctypes=lost,
            )


def guards() -> Iterator[Finding]:
    """The methods of Frappe's that this app answers in its place, for otherwise they give away anybody's messages."""
    import frappe

    from ai_assistant import hooks as own

    lost = [
        f"{hook} {name}"
        for hook in ("standard_queries", "override_whitelisted_methods")
        for name in getattr(own, hook)
        if not (frappe.get_hooks(hook) or {}).get(name, [""])[-1].startswith("ai_assistant.")
    ]
    if lost:
        yield failure(
            "permissions.guards",
            f"Another app answers {', '.join(lost)}: others may read conversations by it.",
            "bench restart; bench clear-cache; then see that app's hooks.py",
            lost=lost,
        )


def rules(doctype: str) -> list[Any]:
    """The permissions in force: the role permission manager's where it was used, else the DocType's own."""
    import frappe

    return list(frappe.get_meta(doctype).permissions)


def own_rules(doctype: str) -> list[Any]:
    """The permissions that the app ships."""
    import frappe

    fields = ["role", "permlevel", "if_owner", "read", "write", "create"]
    return frappe.get_all("DocPerm", filters={"parent": doctype}, fields=fields)


def is_changed(doctype: str) -> bool:
    """Whether the role permission manager was used on it."""
    import frappe

    return bool(frappe.db.exists("Custom DocPerm", {"parent": doctype}))


def readers(found: list[Any]) -> set[str]:
    """Roles that may read documents which are not their owner's, as far as these permissions go."""
    return {rule.role for rule in found if rule.permlevel == 0 and rule.read and not rule.if_owner}


def writers(found: list[Any]) -> set[str]:
    """Roles that may change or make documents."""
    return {rule.role for rule in found if rule.write or rule.create}


def manager_of(doctype: str) -> str:
    """Where the permissions of a DocType are changed."""
    return f"In the Desk: /app/permission-manager/{quote(doctype)}"


def bounded(limit: int) -> str:
    """A limit in words; 0 means none."""
    return str(limit) if limit else "unlimited"


def opened(doctype: str) -> Iterator[Finding]:
    """Roles that were given others' documents of a private DocType, which the app does not give them."""
    strangers = sorted(readers(rules(doctype)) - readers(own_rules(doctype)))
    if strangers:
        yield warning(
            "permissions.opened",
            f"The permissions of {doctype} were changed: {', '.join(strangers)} may read those of others. The app's "
            "own rules still keep each conversation to its user and AI Managers; the permissions should say so too.",
            f"{manager_of(doctype)}: take the role out, or Restore Original Permissions",
            doctype=doctype,
            roles=strangers,
        )
    elif is_changed(doctype):
        yield note(
            "permissions.opened", f"The permissions of {doctype} were changed; nothing is open.", doctype=doctype
        )
    else:
        yield ok("permissions.opened", f"{doctype}: the app's own permissions", doctype=doctype)


def writable(doctype: str) -> Iterator[Finding]:
    """Others who may change models: they could send a provider's key to a server of their own."""
    strangers = sorted(writers(rules(doctype)) - writers(own_rules(doctype)))
    if strangers:
        yield failure(
            "permissions.writable",
            f"{doctype} may be changed by {', '.join(strangers)}: who sets a model's API base receives its key.",
            f"{manager_of(doctype)}: untick Write and Create",
            doctype=doctype,
            roles=strangers,
        )
    else:
        may = sorted(writers(rules(doctype)))
        yield ok(
            "permissions.writable", f"{doctype} is changed by {' and '.join(may)} only", doctype=doctype, roles=may
        )


def shared() -> Iterator[Finding]:
    """Conversations that were shared with everybody."""
    import frappe

    filters = {"share_doctype": ("in", PRIVATE), "everyone": 1, "read": 1}
    count = frappe.db.count("DocShare", filters)
    if count:
        yield warning(
            "permissions.shared",
            f"{count} conversation(s) or message(s) are shared with everyone.",
            "In the Desk: /app/docshare?everyone=1&share_doctype=AI%20Conversation, delete what is not meant",
            count=count,
        )


def settings(access: Any) -> Finding:
    """The settings document can be read, and means something."""
    found = access.settings()
    return ok(
        "permissions.settings",
        f"Settings, for each user: {bounded(found.limits.requests_per_minute)} requests per minute, "
        f"{bounded(found.limits.concurrent_tasks)} tasks at once, {bounded(found.limits.tokens_per_day)} tokens a day",
        wait_timeout_s=found.wait_timeout_s,
        max_backlog=found.max_backlog,
    )
