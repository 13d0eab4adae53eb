/** A conversation's messages on its form, read as the person who looks may read them. */
import type { AiTranscript } from "@ai-assistant/elements";
import { FIELDS, messageFromRow } from "./rows.ts";

const PAGE = 50;

/** Shows the newest messages of an AI Conversation inside `place`, and offers the earlier ones. */
export async function showTranscript(place: HTMLElement, conversation: string): Promise<void> {
  const element = document.createElement("ai-transcript") as AiTranscript;
  element.loading = true;
  element.addEventListener("ai-earlier", () => void load(element, conversation));
  place.replaceChildren(element);
  await load(element, conversation);
}

/** Shows one AI Message inside `place`. */
export function showMessage(place: HTMLElement, row: Record<string, unknown>): void {
  const element = document.createElement("ai-transcript") as AiTranscript;
  element.messages = [messageFromRow(row)];
  place.replaceChildren(element);
}

async function load(element: AiTranscript, conversation: string): Promise<void> {
  element.loading = true;
  const known = element.messages;
  try {
    const rows = await frappe.db.get_list("AI Message", {
      fields: FIELDS,
      filters: { conversation },
      order_by: "sequence desc",
      limit: PAGE,
      limit_start: known.length,
    });
    element.messages = [...rows.map(messageFromRow).reverse(), ...known];
    element.earlier = rows.length === PAGE;
  } finally {
    element.loading = false;
  }
}
