/** The methods of `ai_assistant.api`, typed. */
import type { EventPage, Timings, Usage, WireToolCall } from "./events.ts";
import type { Http } from "./http.ts";
import type { TaskError, TaskStatus } from "./state.ts";
import type { DeadLetter, PayloadField, TraceTree } from "./traces.ts";

export type Mode = "ask" | "agent";

/** A message in OpenAI's form. */
export interface ChatMessage {
  role: "system" | "user" | "assistant" | "tool";
  content: string | unknown[] | null;
  tool_calls?: WireToolCall[];
  tool_call_id?: string;
}

export interface ChatRequest {
  messages: ChatMessage[];
  /** A UUID chosen by the caller: sent again, it returns the same task and calls no model twice. */
  task_id?: string;
  mode?: Mode;
  model?: string;
  provider?: string;
  temperature?: number;
  max_tokens?: number;
  reasoning_effort?: string;
  tools?: unknown[];
  tool_choice?: unknown;
  response_format?: unknown;
  stop?: string | string[];
  /** Omitted: nothing is stored. `"new"` begins one, a name continues it. */
  conversation?: string;
  metadata?: Record<string, unknown>;
  wait?: boolean;
  /** Seconds to wait for the end. */
  timeout?: number;
}

export interface TaskHandle {
  task_id: string;
  status: TaskStatus;
  conversation?: string | null;
}

export interface Task extends TaskHandle {
  message?: {
    role: string;
    content: string | null;
    reasoning?: string | null;
    tool_calls?: WireToolCall[] | null;
  } | null;
  finish_reason?: string | null;
  model?: string | null;
  provider?: string | null;
  usage?: Usage | null;
  timings?: Timings | null;
  message_id?: string | null;
  trace_id?: string | null;
  /** Of a program's own task: what it is about, and what it came to. */
  subject?: string;
  result?: unknown;
  error?: TaskError | null;
  trimmed_messages?: number | null;
}

export interface ModelInfo {
  name: string;
  /** What a person reads. */
  title: string;
  model: string;
  provider: string;
  is_default: boolean;
  demo?: boolean;
  context_window?: number | null;
}

export interface ConversationInfo {
  name: string;
  title: string;
  modified: string;
  message_count?: number;
}

export interface StoredMessage {
  name?: string;
  role: string;
  content: string | unknown[] | null;
  status?: string | null;
  reasoning?: string | null;
  reasoning_ms?: number | null;
  usage?: Usage | null;
  timings?: Timings | null;
  task_id?: string | null;
  model?: string | null;
  provider?: string | null;
  finish_reason?: string | null;
  tool_calls?: WireToolCall[] | string | null;
  error?: TaskError | string | null;
}

export interface Conversation {
  name: string;
  title: string;
  messages: StoredMessage[];
}

const METHODS = "ai_assistant.api.";

/** Time beyond the server's own waiting time before a waiting call is given up. */
const WAIT_MARGIN_MS = 15_000;

/** One function per method; each throws ApiError. */
export class Api {
  constructor(readonly http: Http) {}

  /** Starts a task and returns at once; the answer comes as events. */
  startChat(request: ChatRequest, signal?: AbortSignal): Promise<TaskHandle> {
    return this.http.call(`${METHODS}chat_completion`, { ...request, wait: false }, { signal });
  }

  /** Starts a task and waits for its end, `request.timeout` seconds at most (120 if not said). */
  completeChat(request: ChatRequest, signal?: AbortSignal): Promise<Task> {
    const timeoutMs = (request.timeout ?? 120) * 1000 + WAIT_MARGIN_MS;
    return this.http.call(`${METHODS}chat_completion`, { ...request, wait: true }, { signal, timeoutMs });
  }

  cancel(taskId: string): Promise<TaskHandle> {
    return this.http.call(`${METHODS}cancel`, { task_id: taskId }, { timeoutMs: 5_000 });
  }

  getTask(taskId: string): Promise<Task> {
    return this.#read("get_task", { task_id: taskId });
  }

  getEvents(taskId: string, afterSeq = 0, limit?: number, signal?: AbortSignal): Promise<EventPage> {
    const args = { task_id: taskId, after_seq: afterSeq, limit };
    return this.#read("get_events", args, { signal, timeoutMs: 10_000 });
  }

  getModels(): Promise<ModelInfo[]> {
    return this.#read("get_models");
  }

  getConversations(
    args: { limit?: number; before?: string; search?: string } = {},
  ): Promise<ConversationInfo[]> {
    return this.#read("get_conversations", args);
  }

  getConversation(conversation: string): Promise<Conversation> {
    return this.#read("get_conversation", { conversation });
  }

  renameConversation(conversation: string, title: string): Promise<unknown> {
    return this.http.call(`${METHODS}rename_conversation`, { conversation, title });
  }

  deleteConversation(conversation: string): Promise<unknown> {
    return this.http.call(`${METHODS}delete_conversation`, { conversation });
  }

  status(): Promise<Record<string, unknown>> {
    return this.#read("status");
  }

  /** A trace with its observations in the order of their tree; somebody else's is noted as looked at. */
  getTrace(trace: string): Promise<TraceTree> {
    return this.#read("get_trace", { trace });
  }

  /** One payload of an observation, or of the trace where `span` is empty; null where it has none. */
  async getTracePayload(trace: string, span: string, field: PayloadField): Promise<string | null> {
    const args = { trace, span: span || undefined, field };
    return (await this.#read<{ text: string | null }>("get_trace_payload", args)).text;
  }

  /** The newest ones first; `before` is the id of the last one of the page before. */
  async getDeadLetters(args: { limit?: number; before?: string } = {}): Promise<DeadLetter[]> {
    return (await this.#read<{ dead_letters: DeadLetter[] }>("get_dead_letters", args)).dead_letters;
  }

  /** Puts those, or all, on their way once more; gives how many. */
  async retryDeadLetters(ids?: string[]): Promise<number> {
    return (await this.http.call<{ retried: number }>(`${METHODS}retry_dead_letters`, { ids })).retried;
  }

  /** Frappe's own methods for sessions. */
  login(usr: string, pwd: string): Promise<unknown> {
    return this.http.call("login", { usr, pwd });
  }

  logout(): Promise<unknown> {
    return this.http.call("logout");
  }

  #read<T>(name: string, args: Record<string, unknown> = {}, options: object = {}): Promise<T> {
    return this.http.call<T>(METHODS + name, args, { method: "GET", ...options });
  }
}
