"""What each endpoint does, over the ports of a host: check, authorise, start or read."""

from __future__ import annotations

import inspect
import secrets
import uuid
from typing import Any

import msgspec

import ai_assistant
from ai_assistant.core import check
from ai_assistant.core.catalogue import allowed_models, candidates, chosen_model, described
from ai_assistant.core.chat import NEW_CONVERSATION, ChatRequest, checked_request
from ai_assistant.core.endpoint import TextAnswer
from ai_assistant.core.errors import AuthenticationError, DoesNotExistError, PermissionError_
from ai_assistant.core.events import now_ms
from ai_assistant.core.metrics import CONTENT_TYPE, render
from ai_assistant.core.ports import RequestHost
from ai_assistant.core.session import MANAGER_ROLE, OPERATOR_ROLE, User
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef

MAX_EVENTS = 1000


def logged_in(host: RequestHost) -> User:
    """The user of the request. Raises AuthenticationError for a guest."""
    user = host.user()
    if user.is_guest:
        raise AuthenticationError("Log in first, or send an API key: Authorization: token <key>:<secret>")
    return user


def chat_completion(host: RequestHost, arguments: dict[str, Any]) -> Any:
    """Accepts a task and, unless told otherwise, waits for its end."""
    user = logged_in(host)
    access = host.access()
    settings = access.settings()
    request = checked_request(arguments, settings)
    wait = check.boolean("wait", arguments.get("wait"), default=True)
    timeout = check.number("timeout", arguments.get("timeout"), low=0, high=86400)
    task_id = check.task_id(arguments.get("task_id"), required=False)
    models = access.models()
    model = chosen_model(models, settings, user, request)
    task = new_task(host.site, user, request, task_id or str(uuid.uuid4()), model.name)
    task.candidates = [candidate.name for candidate in candidates(models, model.name, user)]
    if request.conversation:
        place(host, user, request, task)
    task = host.tasks().start(task, request.fingerprint(), settings)
    if not wait:
        return accepted(task)
    limit = settings.wait_timeout_s if timeout is None else min(timeout, settings.wait_timeout_s)
    return view_of(task) if task.is_final else host.wait(task.ref, limit)


def new_task(site: str, user: User, request: ChatRequest, task_id: str, model: str) -> Task:
    """A task as it is before its acceptance."""
    return Task(
        ref=TaskRef(site=site, user=user.name, id=task_id),
        status="queued",
        gen=1,
        seq=0,
        mode=request.mode,
        model=model,
        accepted_ms=now_ms(),
        trace_id=secrets.token_hex(16),
        request=msgspec.json.encode(request),
    )


def place(host: RequestHost, user: User, request: ChatRequest, task: Task) -> None:
    """Gives the task its conversation and the name of its message; the rows are written by the worker."""
    tasks, name = host.tasks(), request.conversation
    if name == NEW_CONVERSATION:
        # derived from the task, so that a request sent again names the same conversation
        name = uuid.uuid5(uuid.UUID(task.ref.id), f"conversation of {user.name}").hex[:20]
        tasks.announce_conversation(host.site, user.name, name)
    elif not (tasks.announced(host.site, user.name, str(name)) or host.access().conversations.exists(user, str(name))):
        raise DoesNotExistError(f"conversation: there is no conversation {check.shown(name)}")
    task.conversation = name
    task.message_id = uuid.uuid5(uuid.UUID(task.ref.id), f"message of {user.name}").hex[:20]


def accepted(task: Task) -> dict[str, Any]:
    """The answer to a call that does not wait."""
    answer = {"task_id": task.ref.id, "status": task.status}
    if task.conversation:
        answer |= {"conversation": task.conversation, "message_id": task.message_id}
    return answer


def view_of(task: Task) -> dict[str, Any]:
    """The task of the wire contract."""
    return task.view()


def owned(host: RequestHost, user: User, task_id: Any) -> TaskRef:
    """The reference to a task of this user."""
    return TaskRef(site=host.site, user=user.name, id=str(check.task_id(task_id)))


def cancel(host: RequestHost, task_id: Any) -> Any:
    """Cancels a task and gives it a moment to end."""
    user = logged_in(host)
    ref = owned(host, user, task_id)
    task = host.tasks().cancel(ref, user.name, host.access().settings())
    if task.is_final:
        return {"task_id": ref.id, "status": task.status}
    return then(host.wait(ref, 2.0), lambda view: {"task_id": ref.id, "status": view["status"]})


def then(result: Any, function: Any) -> Any:
    """`function` of a result that may be an awaitable."""
    if not inspect.isawaitable(result):
        return function(result)

    async def after() -> Any:
        return function(await result)

    return after()


def get_task(host: RequestHost, task_id: Any) -> dict[str, Any]:
    """The task of the wire contract."""
    user = logged_in(host)
    return view_of(host.tasks().get(owned(host, user, task_id), host.access().settings()))


def get_events(host: RequestHost, task_id: Any, after_seq: Any, limit: Any) -> dict[str, Any]:
    """A page of a task's events."""
    user = logged_in(host)
    ref = owned(host, user, task_id)
    after = check.integer("after_seq", after_seq, low=0, high=2**53, default=0)
    count = check.integer("limit", limit, low=1, high=MAX_EVENTS, default=500)
    return host.tasks().events(ref, after, count, host.access().settings())


def get_models(host: RequestHost) -> list[dict[str, Any]]:
    """The models that the user may use, the default one marked."""
    user = logged_in(host)
    access = host.access()
    settings, models = access.settings(), access.models()
    default = chosen_model(models, settings, user, None)
    return [described(model, default, host.facts(model)) for model in allowed_models(models, user)]


def get_conversations(host: RequestHost, limit: Any, before: Any, search: Any) -> list[dict[str, Any]]:
    """A page of the user's conversations."""
    user = logged_in(host)
    rows = host.access().conversations.list(
        user,
        limit=check.integer("limit", limit, low=1, high=200, default=50),
        before=check.text("before", before, max_length=40),
        search=check.text("search", search, max_length=200),
    )
    return msgspec.to_builtins(rows)


def get_conversation(host: RequestHost, conversation: Any) -> dict[str, Any]:
    """A conversation with its messages; a message whose task has ended is shown as ended even where no worker has
    written it yet."""
    user = logged_in(host)
    name = required_name(conversation)
    access = host.access()
    summary, messages = access.conversations.get(user, name)
    rows = msgspec.to_builtins(messages)
    for row in rows:
        if row["status"] == "streaming" and row["task_id"]:
            overlay(host, user, row, access.settings())
    return {**msgspec.to_builtins(summary), "messages": rows}


def overlay(host: RequestHost, user: User, row: dict[str, Any], settings: Settings) -> None:
    """Shows a streaming message as its task stands: without the task it was interrupted."""
    task = host.tasks().find(TaskRef(site=host.site, user=user.name, id=row["task_id"]), settings)
    if task is None:
        row["status"] = "interrupted"
    elif task.outcome:
        outcome = task.outcome
        view = task.view()
        row |= {key: view[key] for key in ("usage", "finish_reason", "error", "model", "provider", "timings")}
        row |= {"content": outcome.message.content, "reasoning": outcome.message.reasoning}
        failed = "interrupted" if outcome.message.content or outcome.message.reasoning else "failed"
        row["status"] = failed if outcome.status == "failed" else outcome.status


def rename_conversation(host: RequestHost, conversation: Any, title: Any) -> dict[str, Any]:
    """Gives a conversation another title."""
    user = logged_in(host)
    name = required_name(conversation)
    new = str(check.text("title", title.strip() if isinstance(title, str) else title, max_length=140, required=True))
    host.access().conversations.rename(user, name, new)
    return {"name": name, "title": new}


def delete_conversation(host: RequestHost, conversation: Any) -> dict[str, Any]:
    """Deletes a conversation."""
    user = logged_in(host)
    name = required_name(conversation)
    host.access().conversations.delete(user, name)
    host.tasks().forget_conversation(host.site, user.name, name)
    return {"name": name}


def required_name(conversation: Any) -> str:
    """The name of a conversation."""
    return str(check.text("conversation", conversation, max_length=140, required=True))


def status(host: RequestHost) -> dict[str, Any]:
    """Whether all is well; more for a user who is logged in."""
    answer: dict[str, Any] = {"ok": True, "site": host.site, "version": ai_assistant.__version__}
    if host.user().is_guest:
        return answer
    health = host.tasks().health()
    if health["redis"]["ok"]:  # else it is not waited for twice
        health |= host.trace_pipe().health()
    if not host.user().is_manager:  # addresses of providers, names of models, a database's words: not for everybody
        for parts, private in (("workers", "gateway"), ("trace_consumers", "error")):
            health[parts] = [{k: v for k, v in part.items() if k != private} for part in health[parts]]
        if health["traces"]:
            health["traces"] = {k: v for k, v in health["traces"].items() if k != "anomalies"}
    return answer | health


def metrics(host: RequestHost) -> TextAnswer:
    """The figures for monitoring, as Prometheus reads them."""
    user = logged_in(host)
    if not user.is_manager and OPERATOR_ROLE not in user.roles:
        raise PermissionError_(f"metrics: {user.name} needs the role {MANAGER_ROLE} or {OPERATOR_ROLE}")
    return TextAnswer(render(host.metrics()), CONTENT_TYPE)
