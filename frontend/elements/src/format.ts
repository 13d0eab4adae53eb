/** Numbers in words. */
import type { Usage } from "@ai-assistant/client";
import { t } from "./strings.ts";

/** Whole seconds as a person counts them: `3s`, `1m 05s`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  return `${minutes}m ${String(seconds % 60).padStart(2, "0")}s`;
}

/** How long the reasoning took: at least `1s`, since a thought of no time reads oddly. */
export function thoughtFor(ms: number): string {
  return duration(Math.max(1000, Math.round(ms / 1000) * 1000));
}

/** A short span: `240 ms`, `1.4 s`. */
export function latency(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** US dollars with as many places as tell something. */
export function cost(usd: number): string {
  if (usd === 0) return "$0";
  if (usd < 0.0001) return "< $0.0001";
  return `$${usd.toFixed(usd < 0.01 ? 4 : usd < 1 ? 3 : 2)}`;
}

/** `345 tokens`, with `≈` where the host had to count by itself. */
export function tokens(usage: Usage): string | null {
  const total = usage.total_tokens ?? (usage.prompt_tokens ?? 0) + (usage.completion_tokens ?? 0);
  if (!total) return null;
  const words = total === 1 ? t("1 token") : t("{0} tokens", total.toLocaleString("en"));
  return usage.estimated ? `≈ ${words}` : words;
}
