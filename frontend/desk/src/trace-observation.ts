/** One observation on its form, by what the form has loaded. */
import type { Observation, PayloadField } from "@ai-assistant/client";
import { fieldWords, payloadsOf, t } from "@ai-assistant/elements";
import { figuresOf, payloadOf } from "./trace.ts";
import { observationFromDoc } from "./trace-rows.ts";

/** Where on the form of an AI Observation things stand. */
export interface ObservationPlaces {
  figures: HTMLElement;
  payloads: HTMLElement;
}

/** Besides prompt, reasoning and response; how long these are is not kept, so they are asked for by a press. */
const OTHERS: readonly PayloadField[] = ["metadata", "error_stack"];

/** Shows an AI Observation; `payloads` says whether the user's roles include what was written. */
export function showObservation(
  places: ObservationPlaces,
  doc: Record<string, unknown>,
  payloads: boolean,
): void {
  const trace = String(doc.trace);
  const row = observationFromDoc(doc);
  places.figures.replaceChildren(figuresOf({ observation: row }));
  const fields = payloads ? [...payloadsOf(row), ...OTHERS.filter((field) => doc[field])] : [];
  places.payloads.replaceChildren(...fields.map((field) => section(trace, row, field)));
  if (!fields.length) places.payloads.append(hint(payloads));
}

function section(trace: string, row: Observation, field: PayloadField): HTMLElement {
  const heading = document.createElement("h6");
  heading.textContent = fieldWords(field);
  heading.style.cssText = "margin: 0 0 0.25rem";
  const place = document.createElement("div");
  place.style.cssText = "margin: 0 0 1.5rem";
  place.append(heading, payloadOf(trace, row, field));
  return place;
}

function hint(payloads: boolean): HTMLElement {
  const words = document.createElement("p");
  words.className = "text-muted small";
  words.textContent = payloads
    ? t("Nothing was written down here.")
    : t("Your roles do not include what was written.");
  return words;
}
