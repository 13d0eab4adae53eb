/** What the test of a model says beside the model's own words. */
import type { Notice, TaskError, TaskState } from "@ai-assistant/client";
import { errorAdvice, later, t } from "@ai-assistant/elements";

const ADVICE: Record<string, string> = {
  provider_auth: later("Check API Key and API Base of this model."),
  provider_unavailable: later(
    "Check API Base, and that the provider can be reached from the worker's machine.",
  ),
  provider_timeout: later("Check API Base, or give the model more time under Limits."),
  invalid_request: later("Check Model and Parameters of this model."),
};

/** What to do about a failure, in the words of the form. */
export function failureAdvice(error: TaskError): string {
  if (error.code === "no_worker") return workerAdvice();
  return errorAdvice(error, ADVICE);
}

/** What to do where no worker takes a task. */
export function workerAdvice(): string {
  const setup = "bench ai-assistant setup-worker";
  return t("See that the bench's background workers run, or set up a worker of its own with {0}.", setup);
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
