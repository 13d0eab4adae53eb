/** The wire's states and codes in a person's words. */
import type { Notice, TaskError, Turn } from "@ai-assistant/client";

/** What is going on before anything has arrived. */
export function noticeWords(notice: Notice | null): string {
  switch (notice?.state) {
    case "queued":
      return "Waiting for a free worker";
    case "connecting":
      return "Thinking";
    case "retrying":
      return notice.attempt ? `Trying again (attempt ${notice.attempt})` : "Trying again";
    case "fallback":
      return notice.model ? `Switching to ${notice.model}` : "Switching to another model";
    case "waiting_tool":
      return "Waiting for a tool";
    case "restarting":
      return "Starting over";
    default:
      return "Thinking";
  }
}

const ADVICE: Record<string, string> = {
  provider_auth: "Check the API key of this model.",
  provider_rate_limited: "Wait a little, or choose another model.",
  provider_unavailable: "Try again, or choose another model.",
  provider_timeout: "Try again, or choose another model.",
  stream_interrupted: "What had arrived is kept. Ask again for the rest.",
  context_length_exceeded: "Start a new chat, or shorten the message.",
  content_filtered: "Word the question in another way.",
  budget_exceeded: "Wait until the budget is renewed.",
  worker_lost: "What had arrived is kept. Try again.",
  no_worker: "Check that a worker is running, then try again.",
  not_logged_in: "Reload the page and log in again.",
  offline: "Check the connection, then try again.",
};

/** A title for the failure. */
export function errorTitle(turn: Turn): string {
  if (turn.status === "interrupted") return "The answer was interrupted";
  return turn.error?.code === "offline" ? "The server cannot be reached" : "The answer failed";
}

/** What to do next, where the server's message does not say so already. */
export function errorAdvice(error: TaskError): string {
  const advice = ADVICE[error.code];
  if (!advice) return error.retryable && !/again/i.test(error.message) ? "Try again." : "";
  const said = /\b(try|again|check|wait|choose|shorten|log in|start a|add|set|ask)\b/i.test(error.message);
  return said ? "" : advice;
}

/** What the button says behind which attempts before an answer are folded away. */
export function attemptWords(earlier: readonly Turn[]): string {
  if (earlier.length > 1) return `${earlier.length} earlier attempts`;
  const stopped = earlier[0]?.status === "cancelled";
  return stopped ? "Earlier attempt, stopped" : `Earlier attempt, ${earlier[0]?.status}`;
}

/** That the model did not see the whole conversation. */
export function trimmedWords(count: number): string | null {
  if (!count) return null;
  const what = count === 1 ? "The oldest message" : `The ${count.toLocaleString("en")} oldest messages`;
  return `${what} did not fit the model's context and ${count === 1 ? "was" : "were"} left out.`;
}

/** Why an answer ended early although nothing failed. */
export function finishWords(reason: string | null): string | null {
  if (reason === "length") return "Cut off: the limit of tokens for an answer was reached.";
  if (reason === "content_filter") return "Cut off by the provider's content filter.";
  return null;
}
