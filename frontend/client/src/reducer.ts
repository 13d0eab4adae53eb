/**
 * The pure fold of one task's events into its state. Order, doubles, losses and replays are dealt with
 * here and nowhere else: events may come in any order and any number of times.
 */
import { isTerminal, type ProgressEvent } from "./events.ts";
import { initialState, isEnded, type TaskState } from "./state.ts";
import { closeToolCall, foldToolEvent, fromWire } from "./toolcalls.ts";

/** Events held back while an earlier one is missing; what is beyond is asked for again by its number. */
const MAX_PENDING = 4096;
/** `data` events kept for the application; the oldest go first. */
const MAX_DATA = 1000;

/** Takes one event; returns the same object when it changes nothing. */
export function reduce(state: TaskState, event: ProgressEvent): TaskState {
  if (event.task_id !== state.taskId || isEnded(state) || event.seq <= state.seq) return state;
  if (event.type === "snapshot") return drain(applySnapshot(state, event));
  if (event.seq === state.seq + 1) return drain(apply(state, event));
  return holdBack(state, event);
}

/** Takes many events, in any order. */
export function reduceAll(state: TaskState, events: Iterable<ProgressEvent>): TaskState {
  let next = state;
  for (const event of events) next = reduce(next, event);
  return next;
}

/**
 * Applies what was held back although something before it is missing for good (the log has expired).
 * The end of the task carries the whole text, so the answer is complete all the same.
 */
export function settleGap(state: TaskState): TaskState {
  const last = state.pending.at(-1);
  if (!last) return state;
  if (!isTerminal(last)) return state;
  return { ...apply({ ...state, seq: last.seq - 1 }, last), pending: [] };
}

function holdBack(state: TaskState, event: ProgressEvent): TaskState {
  const at = state.pending.findIndex((it) => it.seq >= event.seq);
  if (at >= 0 && state.pending[at]?.seq === event.seq) return state;
  const pending = [...state.pending];
  pending.splice(at < 0 ? pending.length : at, 0, event);
  if (pending.length > MAX_PENDING) pending.splice(MAX_PENDING - 1, 1); // keep the last: it may be the end
  return { ...state, pending };
}

function drain(state: TaskState): TaskState {
  let next = state;
  let used = 0;
  for (const event of state.pending) {
    if (event.seq > next.seq + 1) break;
    used += 1;
    if (event.seq === next.seq + 1 && !isEnded(next)) next = apply(next, event);
  }
  if (isEnded(next)) return { ...next, pending: [] };
  return used ? { ...next, pending: state.pending.slice(used) } : next;
}

function apply(state: TaskState, event: ProgressEvent): TaskState {
  if (event.gen < state.gen) return { ...state, seq: event.seq };
  const base = event.gen > state.gen ? restarted(state, event.gen) : state;
  return fold(withEnvelope(base, event), event);
}

/** Another worker starts the task over. The contract says that nothing had been shown by then. */
function restarted(state: TaskState, gen: number): TaskState {
  const { taskId, seq, pending, conversation, messageId, traceId, subject, acceptedAt, mode, model } = state;
  const kept = { seq, pending, conversation, messageId, traceId, subject, acceptedAt, mode, model };
  return { ...initialState(taskId), ...kept, gen, status: "running" };
}

function withEnvelope(state: TaskState, event: ProgressEvent): TaskState {
  const measured = typeof event.ts === "number" && typeof event.elapsed_ms === "number";
  return {
    ...state,
    seq: event.seq,
    traceId: event.trace_id ?? state.traceId,
    messageId: event.message_id ?? state.messageId,
    conversation: event.conversation ?? state.conversation,
    subject: event.subject ?? state.subject,
    elapsedMs: Math.max(state.elapsedMs, event.elapsed_ms ?? 0),
    acceptedAt: measured ? Number(event.ts) - Number(event.elapsed_ms) : state.acceptedAt,
    trimmedMessages: event.trimmed_messages ?? state.trimmedMessages,
  };
}

function fold(state: TaskState, event: ProgressEvent): TaskState {
  switch (event.type) {
    case "start":
      return { ...state, mode: event.mode ?? state.mode, model: event.model ?? state.model };
    case "status":
      return foldStatus(state, event);
    case "reasoning":
      return event.partial ? foldReasoning(state, event) : closeReasoning(state, event);
    case "text":
      return foldText(state, event);
    case "tool_call":
    case "tool_started":
    case "tool_progress":
    case "tool_completed":
    case "tool_failed":
      return { ...running(state), toolCalls: foldToolEvent(state.toolCalls, event) };
    case "data":
      return { ...state, data: [...state.data, dataItem(event)].slice(-MAX_DATA) };
    case "completion":
      return foldCompletion(state, event);
    case "error":
      return foldError(state, event);
    case "cancelled":
      return ended(state, event, "cancelled");
    default:
      return state;
  }
}

function running(state: TaskState): TaskState {
  return { ...state, status: "running", notice: null };
}

function foldStatus(state: TaskState, event: ProgressEvent): TaskState {
  const { state: name = "", detail = "", attempt, model, provider } = event;
  return {
    ...state,
    status: name === "queued" ? state.status : "running",
    notice: { state: name, detail, attempt, model, provider },
    model: model ?? state.model,
    provider: provider ?? state.provider,
  };
}

function foldReasoning(state: TaskState, event: ProgressEvent): TaskState {
  const reasoning = state.reasoning + event.text;
  return { ...running(state), reasoning, reasoningOpen: true, phase: "reasoning" };
}

function closeReasoning(state: TaskState, event: ProgressEvent): TaskState {
  return {
    ...state,
    reasoningOpen: false,
    reasoningMs: event.reasoning_ms ?? state.reasoningMs,
    reasoningTruncated: event.truncated ?? state.reasoningTruncated,
  };
}

function foldText(state: TaskState, event: ProgressEvent): TaskState {
  return { ...running(state), text: state.text + event.text, reasoningOpen: false, phase: "answering" };
}

function dataItem(event: ProgressEvent) {
  return { name: event.name ?? "", data: event.data, seq: event.seq };
}

function foldCompletion(state: TaskState, event: ProgressEvent): TaskState {
  const calls = event.tool_calls;
  return {
    ...ended(state, event, "completed"),
    finishReason: event.finish_reason ?? null,
    result: event.result ?? null,
    model: event.model ?? state.model,
    provider: event.provider ?? state.provider,
    toolCalls: calls?.length ? fromWire(calls, state.toolCalls) : state.toolCalls.map(closeToolCall),
  };
}

function foldError(state: TaskState, event: ProgressEvent): TaskState {
  const error = {
    code: event.code ?? "internal",
    message: event.message || "The task failed.",
    retryable: event.retryable ?? false,
  };
  return { ...ended(state, event, "failed"), error };
}

/** The text of the end is the truth; an `error` or `cancelled` may leave it out when it had nothing to add. */
function ended(state: TaskState, event: ProgressEvent, status: TaskState["status"]): TaskState {
  const text = event.text || event.type === "completion" ? event.text : state.text;
  return {
    ...state,
    status,
    phase: "ended",
    text,
    mismatch: text !== state.text && state.text !== "",
    notice: null,
    reasoningOpen: false,
    reasoningMs: event.timings?.reasoning_ms ?? state.reasoningMs,
    usage: event.usage ?? state.usage,
    timings: event.timings ?? state.timings,
  };
}

/** The log was trimmed: what the snapshot says stands for every event up to its number. */
function applySnapshot(state: TaskState, event: ProgressEvent): TaskState {
  const reasoning = event.reasoning ?? "";
  return {
    ...withEnvelope(state, event),
    gen: Math.max(state.gen, event.gen),
    status: "running",
    text: event.text,
    reasoning,
    reasoningOpen: reasoning !== "" && event.text === "",
    reasoningMs: event.reasoning_ms ?? state.reasoningMs,
    phase: event.text ? "answering" : reasoning ? "reasoning" : "waiting",
    toolCalls: list(event.tools).reduce(foldToolEvent, fromWire(event.tool_calls ?? [], state.toolCalls)),
    data: list(event.data).map((it) => ({ name: it.name ?? "", data: it.data, seq: event.seq })),
    model: event.model ?? state.model,
    provider: event.provider ?? state.provider,
  };
}

/** What a snapshot lists, each in the form of the event that said it. */
function list(value: unknown): ProgressEvent[] {
  return Array.isArray(value) ? value.filter((it) => typeof it === "object" && it !== null) : [];
}
