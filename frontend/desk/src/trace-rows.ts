/** Documents of AI Observation, as the Desk's forms have them, in the form of the API. */
import type { Observation } from "@ai-assistant/client";

const NUMBERS = [
  ...["prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "total_tokens", "ttft_ms"],
  ...[
    "attempt",
    "confidence",
    "progress",
    "input_chars",
    "output_chars",
    "reasoning_kept",
    "reasoning_chars",
  ],
];
const WORDS = ["title", "status", "type", "model", "provider", "finish_reason"];
const FLAGS = ["usage_estimated", "input_truncated", "output_truncated", "reasoning_truncated"];

type Row = Record<string, unknown>;

/** A document of the Desk in the form of the API: there, what is not known is 0, and `<` is an entity. */
export function observationFromDoc(doc: Row): Observation {
  const found: Row = { span: String(doc.span ?? ""), depth: 0 };
  for (const name of NUMBERS) if (Number(doc[name])) found[name] = Number(doc[name]);
  for (const name of WORDS) if (doc[name]) found[name] = decoded(String(doc[name]));
  for (const name of FLAGS) found[name] = Boolean(Number(doc[name]));
  if (doc.ended_at) found.duration_ms = Number(doc.duration_ms) || 0;
  if (doc.cost_known) found.cost = Number(doc.cost) || 0;
  return found as unknown as Observation;
}

function decoded(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">");
}
