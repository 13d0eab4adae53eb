/** The wire's states and codes in a person's words. */
import type { Notice, TaskError, Turn } from "@ai-assistant/client";
import { later, t } from "./strings.ts";

/** What is going on before anything has arrived. */
export function noticeWords(notice: Notice | null): string {
  switch (notice?.state) {
    case "queued":
      return t("Waiting for a free worker");
    case "connecting":
      return t("Thinking");
    case "retrying":
      return notice.attempt ? t("Trying again (attempt {0})", notice.attempt) : t("Trying again");
    case "fallback":
      return notice.model ? t("Switching to {0}", notice.model) : t("Switching to another model");
    case "waiting_tool":
      return t("Waiting for a tool");
    case "restarting":
      return t("Starting over");
    default:
      return t("Thinking");
  }
}

const ADVICE: Record<string, string> = {
  provider_auth: later("Check the API key of this model."),
  provider_rate_limited: later("Wait a little, or choose another model."),
  provider_unavailable: later("Try again, or choose another model."),
  provider_timeout: later("Try again, or choose another model."),
  stream_interrupted: later("What had arrived is kept. Ask again for the rest."),
  context_length_exceeded: later("Start a new chat, or shorten the message."),
  content_filtered: later("Word the question in another way."),
  budget_exceeded: later("Wait until the budget is renewed."),
  worker_lost: later("What had arrived is kept. Try again."),
  no_worker: later("Check that a worker is running, then try again."),
  not_logged_in: later("Reload the page and log in again."),
  offline: later("Check the connection, then try again."),
};

/** A title for the failure. */
export function errorTitle(turn: Turn): string {
  if (turn.status === "interrupted") return t("The answer was interrupted");
  return turn.error?.code === "offline" ? t("The server cannot be reached") : t("The answer failed");
}

/** What to do next, where the server's message does not say so already. `advice` goes before ours. */
export function errorAdvice(error: TaskError, advice: Readonly<Record<string, string>> = {}): string {
  const words = advice[error.code] ?? ADVICE[error.code];
  if (!words) return error.retryable && !/again/i.test(error.message) ? t("Try again.") : "";
  const said = /\b(try|again|check|wait|choose|shorten|log in|start a|add|set|ask)\b/i.test(error.message);
  return said ? "" : t(words);
}

/** What the button says behind which attempts before an answer are folded away. */
export function attemptWords(earlier: readonly Turn[]): string {
  if (earlier.length > 1) return t("{0} earlier attempts", earlier.length);
  const status = earlier[0]?.status;
  if (status === "cancelled") return t("Earlier attempt, stopped");
  return status === "interrupted" ? t("Earlier attempt, interrupted") : t("Earlier attempt, failed");
}

/** That the model did not see the whole conversation. */
export function trimmedWords(count: number): string | null {
  if (!count) return null;
  if (count === 1) return t("The oldest message did not fit the model's context and was left out.");
  const many = count.toLocaleString("en");
  return t("The {0} oldest messages did not fit the model's context and were left out.", many);
}

/** Why an answer ended early although nothing failed. */
export function finishWords(reason: string | null): string | null {
  if (reason === "length") return t("Cut off: the limit of tokens for an answer was reached.");
  if (reason === "content_filter") return t("Cut off by the provider's content filter.");
  return null;
}
