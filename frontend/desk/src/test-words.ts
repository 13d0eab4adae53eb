/** What the test of a model says beside the model's own words. */
import type { Notice, TaskState } from "@ai-assistant/client";
import { later, t } from "@ai-assistant/elements";

const ADVICE: Record<string, string> = {
  provider_auth: later("Check API Key and API Base of this model."),
  provider_unavailable: later(
    "Check API Base, and that the provider can be reached from the worker's machine.",
  ),
  provider_timeout: later("Check API Base, or give the model more time under Limits."),
  invalid_request: later("Check Model and Parameters of this model."),
  no_worker: later("See that the bench's background workers run, or set up the worker with {0}."),
};

/** What to do about a failure, in the words of the form. */
export function failureAdvice(error: { code: string }): string {
  const advice = ADVICE[error.code];
  return advice ? t(advice, "bench ai-assistant setup-worker") : "";
}

/** Why there may be little to read although nothing failed. */
export function finishAdvice(task: TaskState): string {
  if (task.finishReason === "length" && !task.text)
    return t(
      "The model used all tokens of this test for thinking. It works; real chats are not cut so short.",
    );
  if (task.status === "cancelled") return t("The test was stopped.");
  if (task.status === "completed" && !task.text) return t("The model answered without a word.");
  return "";
}

/** A retry or a fallback as one line. */
export function noticeLine(notice: Notice): string {
  const what =
    notice.state === "fallback"
      ? t("Switching to {0}", notice.model ?? "")
      : t("Trying again (attempt {0})", notice.attempt ?? 2);
  return notice.detail ? `${what}: ${notice.detail}` : what;
}
