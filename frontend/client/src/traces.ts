/** Traces as `get_trace` and its neighbours give them. What is not known of an observation is left out. */

export type TraceStatus = "running" | "completed" | "failed" | "cancelled" | "interrupted";

export type ObservationType = "span" | "generation" | "tool" | "agent" | "retriever" | "event";

/** What can be asked for one by one. */
export type PayloadField = "input" | "output" | "reasoning" | "metadata" | "marks" | "error_stack";

/** What both have. Times are epoch milliseconds, costs US dollars. */
export interface TraceFigures {
  title?: string | null;
  status?: TraceStatus | null;
  started_at?: number | null;
  ended_at?: number | null;
  duration_ms?: number | null;
  ttft_ms?: number | null;
  model?: string | null;
  provider?: string | null;
  prompt_tokens?: number | null;
  completion_tokens?: number | null;
  reasoning_tokens?: number | null;
  cached_tokens?: number | null;
  total_tokens?: number | null;
  cost?: number | null;
  error_message?: string | null;
}

export interface Trace extends TraceFigures {
  trace: string;
  user?: string | null;
  observation_count?: number | null;
  error_count?: number | null;
  /** 1 when every event that was made is here, and the trace has ended. */
  is_complete?: number | boolean | null;
  events?: number | null;
  missing_events?: number | null;
  tags?: string[];
}

export interface Observation extends TraceFigures {
  span: string;
  /** Its place in the tree, 0 at the top. */
  depth: number;
  type?: ObservationType | null;
  attempt?: number | null;
  finish_reason?: string | null;
  usage_estimated?: number | boolean | null;
  confidence?: number | null;
  /** From 0 to 100. */
  progress?: number | null;
  /** Characters that are stored; not there where payloads are closed to the user. */
  input_chars?: number | null;
  output_chars?: number | null;
  reasoning_kept?: number | null;
  /** Of the whole reasoning, before it was cut. */
  reasoning_chars?: number | null;
  input_truncated?: number | boolean | null;
  output_truncated?: number | boolean | null;
  reasoning_truncated?: number | boolean | null;
}

export interface TraceTree {
  trace: Trace;
  /** In the order of the tree. */
  observations: Observation[];
  /** Whether payloads can be had. */
  payloads: boolean;
}

/** An event that could not be stored, without what it said. */
export interface DeadLetter {
  id: string;
  /** Epoch milliseconds. */
  at: number;
  producer: string;
  kind: string;
  number: number;
  trace: string;
  span: string;
  user: string;
  error: string;
  tries: number;
  bytes: number;
  events: number;
}
