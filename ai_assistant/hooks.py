"""What Frappe is told of this app. Every bench command and every web worker loads it: names only, nothing imported."""

app_name = "ai_assistant"
app_title = "AI Assistant"
app_publisher = "AI Assistant contributors"
app_description = "Streams large language models over Frappe's realtime, with their reasoning as it happens"
app_email = "hello@ai-assistant.example"
app_license = "mit"

# develop (v16) refuses calls of whitelisted methods with an argument that has no annotation; v15 does not know this
require_type_annotated_api_methods = True

# v15 gives a whitelisted method no other way to the headers of an error: Retry-After
after_request = ["ai_assistant.site.errors.add_retry_after"]

before_install = "ai_assistant.install.before_install"
after_install = "ai_assistant.install.after_install"
after_uninstall = "ai_assistant.uninstall.after_uninstall"

# `all` comes every four minutes (`scheduler_interval`) and leaves no rows behind. A cron job each minute would be a job
# and a Scheduled Job Log per site and minute, and nothing needs it: workers sweep every two seconds, and who reads a
# task settles it. The name is told from other apps' jobs by its last two parts, which are all that Frappe keeps of it.
scheduler_events = {
    "all": ["ai_assistant.site.scheduled.tend_ai_tasks"],
    "daily_long": ["ai_assistant.site.trace_retention.limit_ai_traces"],
}

permission_query_conditions = {
    "AI Conversation": "ai_assistant.permissions.conversation_query",
    "AI Message": "ai_assistant.permissions.message_query",
    "AI Trace": "ai_assistant.trace_permissions.trace_query",
    "AI Observation": "ai_assistant.trace_permissions.observation_query",
    "AI Trace Tag": "ai_assistant.trace_permissions.tag_query",
}
has_permission = {
    "AI Conversation": "ai_assistant.permissions.has_conversation_permission",
    "AI Message": "ai_assistant.permissions.has_message_permission",
    "AI Trace": "ai_assistant.trace_permissions.has_trace_permission",
    "AI Observation": "ai_assistant.trace_permissions.has_observation_permission",
    "AI Trace Tag": "ai_assistant.trace_permissions.has_tag_permission",
}

# users, conversations and documents that a trace mentions can still be deleted
ignore_links_on_delete = ["AI Trace", "AI Observation", "AI Trace Producer", "AI Trace View"]

# v15.55.1 gives rows of any DocType away by these, whatever the rules above say: see site/guards.py
standard_queries = {
    "AI Conversation": "ai_assistant.site.guards.search_links",
    "AI Message": "ai_assistant.site.guards.search_links",
    "AI Trace": "ai_assistant.site.guards.search_links",
    "AI Observation": "ai_assistant.site.guards.search_links",
}
override_whitelisted_methods = {
    "frappe.client.get_count": "ai_assistant.site.guards.get_count",
    "frappe.desk.doctype.dashboard_chart.dashboard_chart.get": "ai_assistant.site.guards.get_chart",
    "frappe.utils.goal.get_monthly_goal_graph_data": "ai_assistant.site.guards.get_monthly_goal_graph_data",
    "frappe.workflow.doctype.workflow.workflow.get_workflow_state_count": (
        "ai_assistant.site.guards.get_workflow_state_count"
    ),
}

# what Frappe blanks when a person asks for the deletion of personal data, before it goes altogether
user_data_fields = [
    {"doctype": "AI Conversation", "filter_by": "owner", "redact_fields": ["title"]},
    {"doctype": "AI Message", "filter_by": "owner", "redact_fields": ["content", "reasoning"]},
    {"doctype": "AI Trace", "filter_by": "user", "redact_fields": ["title", "input", "output", "reasoning"]},
    {"doctype": "AI Observation", "filter_by": "user", "redact_fields": ["title", "input", "output", "reasoning"]},
]
doc_events = {"Personal Data Deletion Request": {"on_change": "ai_assistant.site.privacy.forget_person"}}

# Days after which traces go; Log Settings shows and changes it. Conversations are their users' own and are kept: AI
# Conversation can be added there by an admin who wants old ones to go.
default_log_clearing_doctypes = {"AI Trace": 30, "AI Trace Producer": 90}
