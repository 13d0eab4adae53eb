/** The ends of a task that do not come as events: the finished task by HTTP, a refusal, a lost log. */
import type { Task } from "./api.ts";
import type { ApiError } from "./errors.ts";
import { isEnded, type TaskError, type TaskState, type TaskStatus } from "./state.ts";
import { fromWire } from "./toolcalls.ts";

const ENDED: ReadonlySet<string> = new Set<TaskStatus>(["completed", "failed", "cancelled"]);

/** Takes over a finished task as `get_task` gives it; a running one changes nothing. */
export function foldTask(state: TaskState, task: Task): TaskState {
  if (isEnded(state) || !ENDED.has(task.status)) return state;
  const { message } = task;
  return {
    ...state,
    status: task.status,
    phase: "ended",
    pending: [],
    text: message?.content || state.text,
    reasoning: message?.reasoning || state.reasoning,
    reasoningOpen: false,
    reasoningMs: task.timings?.reasoning_ms ?? state.reasoningMs,
    toolCalls: message?.tool_calls?.length ? fromWire(message.tool_calls, state.toolCalls) : state.toolCalls,
    notice: null,
    subject: task.subject ?? state.subject,
    result: task.result ?? state.result,
    model: task.model ?? state.model,
    provider: task.provider ?? state.provider,
    conversation: task.conversation ?? state.conversation,
    messageId: task.message_id ?? state.messageId,
    usage: task.usage ?? state.usage,
    timings: task.timings ?? state.timings,
    finishReason: task.finish_reason ?? state.finishReason,
    trimmedMessages: task.trimmed_messages ?? state.trimmedMessages,
    error: task.error ?? (task.status === "failed" ? unknownFailure() : null),
  };
}

/** Ends a task on this side only, with an error of the client's own. */
export function failLocally(state: TaskState, error: TaskError): TaskState {
  if (isEnded(state)) return state;
  return {
    ...state,
    status: "failed",
    phase: "ended",
    pending: [],
    reasoningOpen: false,
    notice: null,
    error,
  };
}

/** The codes that a refusal at the start gets, next to the wire's own error codes. */
export function refusal(error: ApiError): TaskError {
  const codes: Record<number, string> = {
    0: "offline",
    401: "not_logged_in",
    403: "not_permitted",
    429: "limit_reached",
    503: "unavailable",
  };
  const fallback = error.status >= 500 ? "internal" : "invalid_request";
  const code = error.unauthenticated ? "not_logged_in" : (codes[error.status] ?? fallback);
  return { code, message: error.message, retryable: error.retryable };
}

/** The error of an answer that was given up, since the server could not be told to stop it. */
export function givenUp(): TaskError {
  const message =
    "The server cannot be reached, so the answer was stopped here only. The server is told as soon as it can be reached.";
  return { code: "offline", message, retryable: true };
}

/** What is left to say when the server no longer knows the task. */
export function forgotten(): TaskError {
  const message = "The server no longer keeps this task. Ask again to get an answer.";
  return { code: "task_expired", message, retryable: true };
}

function unknownFailure(): TaskError {
  return { code: "internal", message: "The task failed. Try again.", retryable: true };
}
