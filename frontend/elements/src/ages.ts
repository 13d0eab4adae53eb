/** Conversations grouped by how long ago they were changed. */
import type { ConversationInfo } from "@ai-assistant/client";
import { later } from "./strings.ts";

const DAY_MS = 86_400_000;

/** Groups in their order with their titles in English, the empty ones left out; the order of the items is kept. */
export function groupByAge(items: readonly ConversationInfo[], now: Date): [string, ConversationInfo[]][] {
  const groups = new Map<string, ConversationInfo[]>();
  for (const item of items) {
    const title = ageOf(item.modified, now);
    groups.set(title, [...(groups.get(title) ?? []), item]);
  }
  return [...groups];
}

function ageOf(modified: string, now: Date): string {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const time = parseTime(modified);
  if (Number.isNaN(time) || time >= midnight) return later("Today");
  if (time >= midnight - DAY_MS) return later("Yesterday");
  if (time >= midnight - 7 * DAY_MS) return later("Last 7 days");
  return time >= midnight - 30 * DAY_MS ? later("Last 30 days") : later("Older");
}

/** Frappe writes `2026-01-31 12:00:00.000000`, which not every browser reads. */
function parseTime(text: string): number {
  return Date.parse(text.replace(" ", "T").replace(/(\.\d{3})\d+/, "$1"));
}
