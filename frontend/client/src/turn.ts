/** One message of a conversation as a person sees it, made from what is stored or from a running task. */
import type { StoredMessage } from "./api.ts";
import type { Timings, Usage, WireToolCall } from "./events.ts";
import { isEnded, type Notice, type TaskError, type TaskState, type ToolCall } from "./state.ts";
import { fromWire } from "./toolcalls.ts";

/** `sending`: not accepted yet. `interrupted`: it failed after something had arrived; `failed`: before. */
export type TurnStatus = "sending" | "streaming" | "completed" | "failed" | "cancelled" | "interrupted";

export interface Turn {
  /** Stable for as long as the turn is shown. */
  key: string;
  role: "user" | "assistant" | "system" | "tool";
  content: string;
  status: TurnStatus;
  taskId: string | null;
  reasoning: string;
  reasoningOpen: boolean;
  reasoningMs: number | null;
  reasoningTruncated: boolean;
  toolCalls: readonly ToolCall[];
  notice: Notice | null;
  model: string | null;
  provider: string | null;
  usage: Usage | null;
  timings: Timings | null;
  finishReason: string | null;
  error: TaskError | null;
  /** How many of the oldest messages the model was not sent. Known while the task is; it is not stored. */
  trimmedMessages: number;
}

const STATUS: Record<string, TurnStatus> = {
  pending: "streaming",
  placeholder: "streaming",
  queued: "streaming",
  running: "streaming",
  streaming: "streaming",
  failed: "failed",
  error: "failed",
  cancelled: "cancelled",
  interrupted: "interrupted",
};

const BLANK = {
  reasoning: "",
  reasoningOpen: false,
  reasoningMs: null,
  reasoningTruncated: false,
  toolCalls: [],
  notice: null,
  model: null,
  provider: null,
  usage: null,
  timings: null,
  finishReason: null,
  error: null,
  trimmedMessages: 0,
};

/** What a person wrote. */
export function userTurn(key: string, content: string): Turn {
  return { ...BLANK, key, role: "user", content, status: "completed", taskId: null };
}

/** The place of an answer of which nothing is known yet. */
export function emptyAnswer(taskId: string): Turn {
  return { ...BLANK, key: taskId, role: "assistant", content: "", status: "sending", taskId };
}

/** The answer as the running (or just ended) task has it. */
export function turnFromTask(turn: Turn, state: TaskState): Turn {
  const { reasoning, reasoningOpen, reasoningMs, reasoningTruncated, toolCalls, notice } = state;
  const { model, provider, usage, timings, finishReason, error, trimmedMessages } = state;
  return {
    ...turn,
    ...{ reasoning, reasoningOpen, reasoningMs, reasoningTruncated, toolCalls, notice },
    ...{ model, provider, usage, timings, finishReason, error, trimmedMessages },
    content: state.text,
    status: isEnded(state) ? endStatus(state) : "streaming",
  };
}

/** A message as `get_conversation` gives it. */
export function turnFromStored(message: StoredMessage, index: number): Turn {
  const role = message.role.toLowerCase() as Turn["role"];
  const status = STATUS[(message.status ?? "").toLowerCase()] ?? "completed";
  return {
    ...BLANK,
    key: (role === "assistant" && message.task_id) || message.name || `stored-${index}`,
    role,
    content: plainText(message.content),
    status: role === "assistant" ? status : "completed",
    taskId: message.task_id ?? null,
    reasoning: message.reasoning ?? "",
    reasoningMs: message.reasoning_ms ?? message.timings?.reasoning_ms ?? null,
    toolCalls: fromWire(storedCalls(message.tool_calls), []),
    model: message.model ?? null,
    provider: message.provider ?? null,
    usage: message.usage ?? null,
    timings: message.timings ?? null,
    finishReason: message.finish_reason ?? null,
    error: storedError(message),
  };
}

/** True while the answer may still grow. */
export function isOpen(turn: Turn): boolean {
  return turn.status === "sending" || turn.status === "streaming";
}

function endStatus(state: TaskState): TurnStatus {
  if (state.status === "completed" || state.status === "cancelled") return state.status;
  return state.text || state.reasoning ? "interrupted" : "failed";
}

/** Of a message with parts, the text is shown. */
function plainText(content: StoredMessage["content"]): string {
  if (!Array.isArray(content)) return content ?? "";
  return content.map((part) => (part as { text?: string } | null)?.text ?? "").join("\n");
}

function storedCalls(value: StoredMessage["tool_calls"]): WireToolCall[] {
  if (typeof value !== "string") return value ?? [];
  try {
    const parsed: unknown = JSON.parse(value);
    return Array.isArray(parsed) ? parsed : [];
  } catch {
    return []; // a field that was cut off; the call is lost, the message is not
  }
}

function storedError(message: StoredMessage): TaskError | null {
  const { error } = message;
  if (!error) return null;
  if (typeof error !== "string") return error;
  return { code: message.status ?? "failed", message: error, retryable: true };
}
