/** What a screen reader is told: the steps of an answer, never its single words. */
import { isOpen, type Turn } from "@ai-assistant/client";
import { errorTitle, noticeWords } from "./words.ts";

/** The words for the newest message. */
export function announce(turn: Turn | undefined): string {
  if (turn?.role !== "assistant") return "";
  if (isOpen(turn)) return turn.content ? "The answer is being written." : `${noticeWords(turn.notice)}…`;
  if (turn.status === "completed") return "The answer is complete.";
  if (turn.status === "cancelled") return "The answer was stopped.";
  return `${errorTitle(turn)}. ${turn.error?.message ?? ""}`;
}
