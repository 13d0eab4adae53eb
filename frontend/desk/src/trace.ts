/** A trace on its form, and the dialogs of what was written in it. */
import type { Observation, PayloadField, Trace, TraceTree } from "@ai-assistant/client";
import {
  type AiTraceFigures,
  type AiTracePayload,
  type AiTraceTree,
  fieldWords,
  isCut,
  type ObservationDetail,
  type PayloadDetail,
  t,
} from "@ai-assistant/elements";
import { deskClient } from "./client.ts";
import { messageOf } from "./failure.ts";

export const OBSERVATION = "AI Observation";

/** Where on the form of an AI Trace things stand. */
export interface TracePlaces {
  figures: HTMLElement;
  tree: HTMLElement;
}

/** Shows an AI Trace. The endpoint is asked, which notes a look at somebody else's. */
export async function showTrace(places: TracePlaces, trace: string): Promise<void> {
  const tree = document.createElement("ai-trace-tree") as AiTraceTree;
  tree.loading = true;
  tree.href = (row) => `/app/ai-observation/${trace}${row.span}`;
  tree.addEventListener("ai-observation", (event) => {
    const { observation } = (event as CustomEvent<ObservationDetail>).detail;
    void frappe.set_route("Form", OBSERVATION, trace + observation.span);
  });
  tree.addEventListener("ai-payload", (event) => {
    const { observation, field } = (event as CustomEvent<PayloadDetail>).detail;
    openPayload(trace, observation, field);
  });
  places.tree.replaceChildren(tree);
  try {
    fill(places, tree, await deskClient().api.getTrace(trace));
  } catch (error) {
    tree.failure = messageOf(error);
  } finally {
    tree.loading = false;
  }
}

function fill(places: TracePlaces, tree: AiTraceTree, found: TraceTree): void {
  places.figures.replaceChildren(figuresOf({ trace: found.trace }));
  tree.payloads = found.payloads;
  tree.observations = found.observations;
}

/** The figures of one of the two. */
export function figuresOf(row: { trace?: Trace; observation?: Observation }): AiTraceFigures {
  const figures = document.createElement("ai-trace-figures") as AiTraceFigures;
  figures.trace = row.trace ?? null;
  figures.observation = row.observation ?? null;
  return figures;
}

/** A payload in a dialog, read when it is opened. */
function openPayload(trace: string, observation: Observation, field: PayloadField): void {
  const element = payloadOf(trace, observation, field);
  const title = frappe.utils.escape_html(observation.title || t("Untitled"));
  const dialog = new frappe.ui.Dialog({
    title: `${fieldWords(field)} · ${title}`,
    size: "extra-large",
    on_hide: () => dialog.$wrapper.remove(),
  });
  dialog.$body.append(element);
  dialog.show();
}

/** An element that reads and shows one payload of an observation. */
export function payloadOf(trace: string, row: Observation, field: PayloadField): AiTracePayload {
  const element = document.createElement("ai-trace-payload") as AiTracePayload;
  element.field = field;
  element.cut = isCut(row, field);
  element.all = field === "reasoning" ? (row.reasoning_chars ?? null) : null;
  void read(element, trace, row.span);
  return element;
}

async function read(element: AiTracePayload, trace: string, span: string): Promise<void> {
  try {
    element.text = await deskClient().api.getTracePayload(trace, span, element.field);
  } catch (error) {
    element.failure = messageOf(error);
  }
}
