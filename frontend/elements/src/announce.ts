/** What a screen reader is told: the steps of an answer, never its single words. */
import { isOpen, type Turn } from "@ai-assistant/client";
import { t } from "./strings.ts";
import { errorTitle, noticeWords } from "./words.ts";

/** The words for the newest message. */
export function announce(turn: Turn | undefined): string {
  if (turn?.role !== "assistant") return "";
  if (isOpen(turn)) return turn.content ? t("The answer is being written.") : `${noticeWords(turn.notice)}…`;
  if (turn.status === "completed") return t("The answer is complete.");
  if (turn.status === "cancelled") return t("The answer was stopped.");
  return `${errorTitle(turn)}. ${turn.error ? t(turn.error.message) : ""}`;
}
