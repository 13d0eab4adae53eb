/** What is shown of an error. */
import { t } from "@ai-assistant/elements";

/** Its message; those of the client are translated here. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? t(error.message) : String(error);
}
