/** The `ai_progress` events of the wire contract, and the check that lets them in. */

export interface Usage {
  prompt_tokens?: number;
  completion_tokens?: number;
  reasoning_tokens?: number;
  cached_tokens?: number;
  total_tokens?: number;
  /** US dollars; null or absent where no price is known. */
  cost?: number | null;
  /** True where the provider reported nothing and the host counted by itself. */
  estimated?: boolean;
}

export interface Timings {
  queue_ms?: number | null;
  /** Milliseconds from acceptance to the first delta of any kind. */
  ttft_ms?: number | null;
  reasoning_ms?: number | null;
  total_ms?: number | null;
}

/** A tool call in OpenAI's form, as `completion` and `snapshot` carry it. */
export interface WireToolCall {
  id?: string;
  tool_call_id?: string;
  name?: string;
  arguments?: string;
  function?: { name?: string; arguments?: string };
}

/** One event. The four fields of the first block are always there, the others where they apply. */
export interface ProgressEvent {
  type: string;
  text: string;
  partial: boolean;
  task_id: string;

  v?: number;
  gen: number;
  seq: number;
  /** Server clock, epoch milliseconds. */
  ts?: number;
  /** Milliseconds since the task was accepted, measured by the server. */
  elapsed_ms?: number;
  trace_id?: string;
  message_id?: string;
  conversation?: string;
  subject?: string;

  mode?: string;
  model?: string;
  provider?: string;
  state?: string;
  detail?: string;
  attempt?: number;
  offset?: number;
  reasoning_ms?: number;
  chars?: number;
  truncated?: boolean;
  tool_call_id?: string;
  name?: string;
  arguments?: string;
  progress?: number;
  message?: string;
  duration_ms?: number;
  error?: unknown;
  data?: unknown;
  /** Of a `completion`: what a program's own task came to. */
  result?: unknown;
  /** Of a `snapshot`: the latest `tool_*` event of each tool that the server ran. */
  tools?: unknown;
  reasoning?: string;
  tool_calls?: WireToolCall[] | null;
  finish_reason?: string | null;
  usage?: Usage | null;
  timings?: Timings | null;
  code?: string;
  retryable?: boolean;
  by?: string;
  /** How many of the oldest messages the model was not sent, since they did not fit its context. */
  trimmed_messages?: number | null;
}

/** The page of a task's log that `get_events` returns. */
export interface EventPage {
  events: unknown[];
  last_seq: number;
  complete: boolean;
  gap: boolean;
}

const TERMINAL = new Set(["completion", "error", "cancelled"]);

/** True for the event that ends a task; exactly one does, and nothing follows it. */
export function isTerminal(event: ProgressEvent): boolean {
  return TERMINAL.has(event.type);
}

/**
 * Lets one event in from the wire. Returns null for what is not an event (no type, no task, no
 * positive whole `seq`); fills in what a minimal event may leave out.
 */
export function parseEvent(raw: unknown): ProgressEvent | null {
  if (typeof raw !== "object" || raw === null) return null;
  const it = raw as Record<string, unknown>;
  if (typeof it.type !== "string" || typeof it.task_id !== "string") return null;
  const seq = it.seq;
  if (typeof seq !== "number" || !Number.isInteger(seq) || seq < 1) return null;
  return {
    ...(it as unknown as ProgressEvent),
    seq,
    gen: typeof it.gen === "number" ? it.gen : 1,
    text: typeof it.text === "string" ? it.text : "",
    partial: it.partial === true,
  };
}
