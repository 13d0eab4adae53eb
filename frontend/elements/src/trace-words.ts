/** What is said of traces and observations. */
import type { Observation, PayloadField, TraceFigures } from "@ai-assistant/client";
import { latency } from "./format.ts";
import { later, t } from "./strings.ts";

const STATUSES: Record<string, string> = {
  running: later("running"),
  completed: later("completed"),
  failed: later("failed"),
  cancelled: later("cancelled"),
  interrupted: later("interrupted"),
};

const FIELDS: Record<string, string> = {
  input: later("Prompt"),
  reasoning: later("Reasoning"),
  output: later("Response"),
  metadata: later("Metadata"),
  marks: later("Marks"),
  error_stack: later("Stack"),
};

/** How a status is called; one that we do not know, as it is. */
export function statusWords(status: string | null | undefined): string {
  return status ? t(STATUSES[status] ?? status) : "–";
}

/** What a button or a heading calls a payload. */
export function fieldWords(field: PayloadField): string {
  return t(FIELDS[field] ?? field);
}

/** The payloads of an observation that there is something to show of, in the order of their making. */
export function payloadsOf(row: Observation): PayloadField[] {
  const found: PayloadField[] = [];
  if (row.input_chars) found.push("input");
  if (row.reasoning_kept) found.push("reasoning");
  if (row.output_chars) found.push("output");
  return found;
}

/** A whole number as a person reads it. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** How long something took, which is kept in whole milliseconds: `< 1 ms`, `3 ms`, `1.4 s`, `2 min 05 s`. */
export function took(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1) return "< 1 ms";
  if (ms < 60_000) return latency(ms);
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

/** `12 in, 34 out`, or the sum where no more is known; empty without any. */
export function tokenWords(row: TraceFigures): string {
  const into = row.prompt_tokens ?? 0;
  const out = row.completion_tokens ?? 0;
  if (into || out) return t("{0} in, {1} out", count(into), count(out));
  return row.total_tokens ? count(row.total_tokens) : "";
}

/** How much of a payload is here. `all`: characters before it was cut, where that is known. */
export function lengthWords(kept: number, all: number | null, cut: boolean): string {
  if (!cut) return kept === 1 ? t("1 character") : t("{0} characters", count(kept));
  if (all !== null && all > kept) return t("{0} of {1} characters", count(kept), count(all));
  return t("The first {0} characters", count(kept));
}

/** What stands where a payload ends before its end. */
export function cutWords(kept: number, all: number | null): string {
  if (all !== null && all > kept) return t("Cut here: {0} more characters were not kept.", count(all - kept));
  return t("Cut here: the rest was not kept.");
}

/** JSON with its lines indented; anything else as it is. */
export function pretty(text: string): string {
  const first = text.trimStart()[0];
  if (first !== "{" && first !== "[") return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // it was cut, or is no JSON
  }
}
