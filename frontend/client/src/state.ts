/** What a client knows of one task: the value that the reducer folds events into. */
import type { ProgressEvent, Timings, Usage } from "./events.ts";

export type TaskStatus = "queued" | "running" | "completed" | "failed" | "cancelled";

/** What the person sees happening: nothing yet, reasoning, the answer, or the end. */
export type Phase = "waiting" | "reasoning" | "answering" | "ended";

export interface ToolCall {
  id: string;
  name: string;
  arguments: string;
  /** False while the arguments are still arriving. */
  closed: boolean;
  /** Where the server runs the tool by itself; `none` for the client's own tools. */
  run: "none" | "started" | "completed" | "failed";
  /** 0-100. */
  progress?: number;
  message?: string;
  durationMs?: number;
  error?: string;
}

export interface TaskError {
  code: string;
  message: string;
  retryable: boolean;
}

/** The newest `status` event, in the wire's words. */
export interface Notice {
  state: string;
  detail: string;
  attempt?: number;
  model?: string;
  provider?: string;
}

export interface DataItem {
  name: string;
  data: unknown;
  seq: number;
}

export interface TaskState {
  readonly taskId: string;
  readonly gen: number;
  /** The last event that was applied; every one up to it has been, too. */
  readonly seq: number;
  /** Events that came before their turn, by rising `seq`. */
  readonly pending: readonly ProgressEvent[];
  readonly status: TaskStatus;
  readonly phase: Phase;
  readonly text: string;
  readonly reasoning: string;
  /** True while reasoning is arriving: it has begun and was not closed. */
  readonly reasoningOpen: boolean;
  readonly reasoningMs: number | null;
  readonly reasoningTruncated: boolean;
  readonly toolCalls: readonly ToolCall[];
  readonly data: readonly DataItem[];
  readonly notice: Notice | null;
  readonly model: string | null;
  readonly provider: string | null;
  readonly mode: string | null;
  readonly conversation: string | null;
  readonly messageId: string | null;
  readonly traceId: string | null;
  /** What the task is about: `Receipt/R-1`. */
  readonly subject: string | null;
  /** What a program's own task came to. */
  readonly result: unknown;
  readonly usage: Usage | null;
  readonly timings: Timings | null;
  readonly finishReason: string | null;
  readonly error: TaskError | null;
  /** How many of the oldest messages did not fit the model's context and were left out. */
  readonly trimmedMessages: number;
  /** When the server accepted the task, on the server's clock (epoch ms). */
  readonly acceptedAt: number | null;
  /** `elapsed_ms` of the newest event. */
  readonly elapsedMs: number;
  /** True when the deltas did not join up to the text of the end; that text then won. */
  readonly mismatch: boolean;
}

/** The state of a task of which no event was seen. */
export function initialState(taskId: string): TaskState {
  return {
    taskId,
    gen: 1,
    seq: 0,
    pending: [],
    status: "queued",
    phase: "waiting",
    text: "",
    reasoning: "",
    reasoningOpen: false,
    reasoningMs: null,
    reasoningTruncated: false,
    toolCalls: [],
    data: [],
    notice: null,
    model: null,
    provider: null,
    mode: null,
    conversation: null,
    messageId: null,
    traceId: null,
    subject: null,
    result: null,
    usage: null,
    timings: null,
    finishReason: null,
    error: null,
    trimmedMessages: 0,
    acceptedAt: null,
    elapsedMs: 0,
    mismatch: false,
  };
}

/** True once the task has ended, in whatever way. */
export function isEnded(state: TaskState): boolean {
  return state.phase === "ended";
}

/** True when a later event is here and an earlier one is not: ask `get_events` for it. */
export function hasGap(state: TaskState): boolean {
  return state.pending.length > 0;
}
