/** Rows of AI Message, as Frappe's lists give them, in the form of the API. */
import type { StoredMessage } from "@ai-assistant/client";

/** The fields that a transcript needs. */
export const FIELDS = [
  "name",
  "sequence",
  "role",
  "status",
  "content",
  "content_format",
  "content_parts",
  "reasoning",
  "tool_calls",
  "tool_call_id",
  "model",
  "provider",
  "finish_reason",
  "error_code",
  "error_message",
  "prompt_tokens",
  "completion_tokens",
  "reasoning_tokens",
  "cached_tokens",
  "total_tokens",
  "cost",
  "cost_known",
  "estimated",
  "ttft_ms",
  "reasoning_ms",
  "total_ms",
  "task_id",
];

type Row = Record<string, unknown>;

/** One row as `get_conversation` would give it. */
export function messageFromRow(row: Row): StoredMessage {
  return {
    name: text(row.name) ?? undefined,
    role: text(row.role) ?? "assistant",
    status: text(row.status),
    content: row.content_format === "parts" ? parts(row) : (text(row.content) ?? ""),
    reasoning: text(row.reasoning),
    reasoning_ms: number(row.reasoning_ms) || null,
    tool_calls: text(row.tool_calls),
    task_id: text(row.task_id),
    model: text(row.model),
    provider: text(row.provider),
    finish_reason: text(row.finish_reason),
    error: row.error_code
      ? { code: String(row.error_code), message: text(row.error_message) ?? "", retryable: false }
      : null,
    usage: number(row.total_tokens) ? usage(row) : null,
    timings: number(row.ttft_ms) ? { ttft_ms: number(row.ttft_ms), total_ms: number(row.total_ms) } : null,
  };
}

function usage(row: Row) {
  return {
    prompt_tokens: number(row.prompt_tokens),
    completion_tokens: number(row.completion_tokens),
    reasoning_tokens: number(row.reasoning_tokens),
    cached_tokens: number(row.cached_tokens),
    total_tokens: number(row.total_tokens),
    cost: row.cost_known ? number(row.cost) : null,
    estimated: Boolean(row.estimated),
  };
}

function parts(row: Row): unknown[] | string {
  try {
    const value: unknown = JSON.parse(text(row.content_parts) ?? "");
    return Array.isArray(value) ? value : (text(row.content) ?? "");
  } catch {
    return text(row.content) ?? ""; // the text of the parts is kept beside them
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" && value ? value : null;
}

function number(value: unknown): number {
  return typeof value === "number" ? value : Number(value) || 0;
}
