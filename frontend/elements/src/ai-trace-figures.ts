/** `<ai-trace-figures>`: what a trace, or one observation of it, came to. */
import type { Observation, Trace, TraceFigures } from "@ai-assistant/client";
import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import { cost } from "./format.ts";
import { t } from "./strings.ts";
import { baseStyles } from "./theme.ts";
import { figuresStyles, statusStyles } from "./trace-styles.ts";
import { count, statusWords, tokenWords, took } from "./trace-words.ts";

type Figure = [string, TemplateResult | string];

@customElement("ai-trace-figures")
export class AiTraceFigures extends LitElement {
  static override styles = [baseStyles, statusStyles, figuresStyles];

  /** One of the two. */
  @property({ attribute: false }) trace: Trace | null = null;
  @property({ attribute: false }) observation: Observation | null = null;

  protected override render() {
    const { trace, observation } = this;
    const shown = trace ?? observation;
    if (!shown) return nothing;
    const own = trace ? ofTrace(trace) : observation ? ofObservation(observation) : [];
    return html`
      <dl>${[...common(shown), ...own].map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
      ${trace?.tags?.length ? html`<ul aria-label=${t("Tags")}>${trace.tags.map((tag) => html`<li>${tag}</li>`)}</ul>` : nothing}
    `;
  }
}

function common(row: TraceFigures): Figure[] {
  const status = html`<span class="status ${row.status ?? ""}">${statusWords(row.status)}</span>`;
  return [
    [t("Status"), status],
    [t("Duration"), took(row.duration_ms)],
    ...known(t("First token"), row.ttft_ms, took),
    ...(row.model ? [[t("Model"), named(row)] as Figure] : []),
    ...(tokenWords(row) ? [[t("Tokens"), tokens(row)] as Figure] : []),
    ...known(t("Cost"), row.cost, cost),
  ];
}

function ofTrace(row: Trace): Figure[] {
  const errors = row.error_count ?? 0;
  return [
    [t("Observations"), count(row.observation_count ?? 0)],
    [t("Errors"), html`<span class=${errors ? "bad" : ""}>${count(errors)}</span>`],
    [t("Completeness"), completeness(row)],
  ];
}

/** Whether everything that was made is here. */
function completeness(row: Trace): TemplateResult | string {
  const missing = row.missing_events ?? 0;
  if (missing) {
    const words = missing === 1 ? t("1 event missing") : t("{0} events missing", count(missing));
    return html`<span class="bad">${words}</span><small>${t("of {0}", count(missing + (row.events ?? 0)))}</small>`;
  }
  if (row.is_complete) return t("complete");
  return row.status === "running"
    ? t("still running")
    : html`<span class="bad">${t("its end is missing")}</span>`;
}

function ofObservation(row: Observation): Figure[] {
  return [
    ...known(t("Attempt"), row.attempt, String),
    ...known(t("Confidence"), row.confidence, (value) => value.toFixed(2)),
    ...known(t("Progress"), row.progress, (value) => `${Math.round(value)} %`),
    ...(row.finish_reason ? [[t("Finish reason"), row.finish_reason] as Figure] : []),
  ];
}

function named(row: TraceFigures): TemplateResult {
  return html`${row.model}${row.provider ? html`<small>${row.provider}</small>` : nothing}`;
}

function tokens(row: TraceFigures & { usage_estimated?: unknown }): TemplateResult {
  const parts = [
    row.reasoning_tokens ? t("{0} of reasoning", count(row.reasoning_tokens)) : "",
    row.cached_tokens ? t("{0} from the cache", count(row.cached_tokens)) : "",
    row.usage_estimated ? t("estimated") : "",
  ].filter(Boolean);
  return html`${tokenWords(row)}${parts.length ? html`<small>${parts.join(", ")}</small>` : nothing}`;
}

function known(name: string, value: number | null | undefined, words: (value: number) => string): Figure[] {
  return value === null || value === undefined ? [] : [[name, words(value)]];
}
