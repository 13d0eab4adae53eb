"""Methods of Frappe's that read any DocType without asking the permission hooks, closed for ours.

Seen on v15.55.1, where each gave one user's chats to another: with a filter a count or a chart tells whether a text is
there, a group or a maximum tells the text itself. Some ask for no role at all. Other DocTypes are served as before.
Later versions of Frappe close some of them; these stay harmless there.
"""

from typing import Any

import frappe
from frappe import _

from ai_assistant.permissions import CONVERSATION, is_manager
from ai_assistant.trace_permissions import OBSERVATION, TAG, TRACE, is_reviewer

MESSAGE = "AI Message"
MODEL = "AI Model"
OF_TRACES = (TRACE, OBSERVATION, TAG, "AI Trace Producer", "AI Trace View")
OURS = (CONVERSATION, MESSAGE, MODEL, *OF_TRACES)
COUNT = "frappe.client.get_count"
STATES = "frappe.workflow.doctype.workflow.workflow.get_workflow_state_count"
GOAL = "frappe.utils.goal.get_monthly_goal_graph_data"
CHART = "frappe.desk.doctype.dashboard_chart.dashboard_chart.get"


@frappe.whitelist(methods=["GET", "POST"])
def search_links(
    doctype: str,
    txt: str,
    searchfield: Any = None,
    start: Any = 0,
    page_len: Any = 10,
    filters: Any = None,
    as_dict: Any = False,
) -> Any:
    """What a Link field offers of conversations, messages and traces: those that the user may read. Frappe's own search
    lists everybody's where the caller asks it to ignore User Permissions (`desk/search.py`)."""
    if doctype not in (CONVERSATION, MESSAGE, TRACE, OBSERVATION):
        frappe.throw(_("DocType: {0} is not searched here").format(doctype), frappe.PermissionError)
    meta = frappe.get_meta(doctype)
    fields = list(dict.fromkeys(["name", *meta.get_search_fields()]))
    return frappe.get_list(
        doctype,
        fields=fields,
        filters=frappe.parse_json(filters),
        or_filters=[[doctype, field, "like", f"%{txt}%"] for field in fields] if txt else None,
        limit_start=frappe.utils.cint(start),
        limit_page_length=frappe.utils.cint(page_len) or 10,
        order_by=f"{meta.sort_field} desc",
        as_list=not as_dict,
    )


@frappe.whitelist(methods=["GET", "POST"])
def get_count(doctype: str, **arguments: Any) -> Any:
    """`frappe.client.get_count`: of ours, those that the user may read."""
    if doctype not in OURS:
        return frappe.call(COUNT, doctype=doctype, **arguments)
    filters = frappe.parse_json(arguments.get("filters"))
    return len(frappe.get_list(doctype, filters=filters, pluck="name", limit_page_length=0))


@frappe.whitelist(methods=["GET", "POST"])
def get_workflow_state_count(doctype: str, **arguments: Any) -> Any:
    """The method of that name in `frappe.workflow`: groups by any field."""
    require_manager(doctype)
    return frappe.call(STATES, doctype=doctype, **arguments)


@frappe.whitelist(methods=["GET", "POST"])
def get_monthly_goal_graph_data(goal_doctype: str, **arguments: Any) -> Any:
    """The method of that name in `frappe.utils.goal`: any aggregate of any field, month by month."""
    require_manager(goal_doctype)
    return frappe.call(GOAL, goal_doctype=goal_doctype, **arguments)


@frappe.whitelist(methods=["GET", "POST"])
def get_chart(chart_name: Any = None, chart: Any = None, **arguments: Any) -> Any:
    """`dashboard_chart.get`: its heat maps count what nobody may see."""
    charts = [frappe.get_doc("Dashboard Chart", chart_name)] if chart_name else []
    given = frappe.parse_json(chart)
    for each in [*charts, given] if isinstance(given, dict) else charts:
        if each.get("type") == "Heatmap":
            require_manager(each.get("document_type"))
    return frappe.call(CHART, chart_name=chart_name, chart=chart, **arguments)


def require_manager(doctype: Any) -> None:
    """Raises PermissionError where the DocType is ours, and the user does not see all of its documents anyway."""
    sees_all = is_reviewer if doctype in OF_TRACES else is_manager
    if doctype in OURS and not (sees_all(frappe.session.user) and frappe.has_permission(doctype, "read")):
        frappe.throw(_("{0}: only those who see all of them count them").format(_(doctype)), frappe.PermissionError)
