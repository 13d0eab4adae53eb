/** `<ai-trace-tree>`: the observations of a trace as a connected list, in the order of the tree. */
import type { Observation, PayloadField } from "@ai-assistant/client";
import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ifDefined } from "lit/directives/if-defined.js";
import { repeat } from "lit/directives/repeat.js";
import { agentIcon, eventIcon, generationIcon, retrieverIcon, spanIcon, toolIcon } from "./icons.ts";
import { t } from "./strings.ts";
import { baseStyles } from "./theme.ts";
import { statusStyles, treeStyles } from "./trace-styles.ts";
import { count, fieldWords, payloadsOf, statusWords, tokenWords, took } from "./trace-words.ts";

export interface ObservationDetail {
  observation: Observation;
}

export interface PayloadDetail extends ObservationDetail {
  field: PayloadField;
}

/** Rows that are shown at first, and so many more each time: a trace may have a hundred thousand. */
const FIRST = 200;
const MORE = 500;
/** Steps of the tree that are drawn; what lies deeper says its number. */
const MAX_DEPTH = 12;

const ICONS: Record<string, TemplateResult> = {
  span: spanIcon,
  generation: generationIcon,
  tool: toolIcon,
  agent: agentIcon,
  retriever: retrieverIcon,
  event: eventIcon,
};

@customElement("ai-trace-tree")
export class AiTraceTree extends LitElement {
  static override styles = [baseStyles, statusStyles, treeStyles];

  @property({ attribute: false }) observations: readonly Observation[] = [];
  /** Whether payloads can be had: without it there is no button. */
  @property({ type: Boolean }) payloads = false;
  @property({ type: Boolean }) loading = false;
  /** Why they could not be read. */
  @property() failure = "";
  /** Address of an observation's page, where it has one. */
  @property({ attribute: false }) href: ((observation: Observation) => string) | undefined;

  @state() private shown = FIRST;
  #from = 0;
  #span = 0;

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has("observations")) return;
    this.shown = FIRST;
    [this.#from, this.#span] = extent(this.observations);
  }

  protected override render() {
    if (this.failure) return html`<p class="hint bad" role="alert">${this.failure}</p>`;
    if (this.loading) return html`<p class="hint" role="status">${t("Loading…")}</p>`;
    if (!this.observations.length) return html`<p class="hint">${t("No observation has arrived yet.")}</p>`;
    const rows = this.observations.slice(0, this.shown);
    return html`
      <ol class=${this.payloads ? "" : "closed"} aria-label=${t("Observations")}>${repeat(
        rows,
        (row) => row.span,
        (row) => this.#row(row),
      )}</ol>
      ${this.#more()}
    `;
  }

  #row(row: Observation) {
    const depth = Math.min(row.depth, MAX_DEPTH);
    const type = row.type ?? "span";
    return html`<li class="${type} ${row.status ?? ""}" style="--depth:${depth}" data-span=${row.span}>
      <span class="name">
        <span class="rails"></span>
        ${row.depth > MAX_DEPTH ? html`<span class="deep">+${row.depth - MAX_DEPTH}</span>` : nothing}
        <span class="icon" title=${type}>${ICONS[type] ?? spanIcon}</span><span class="visually-hidden">${t("Level {0}", row.depth + 1)}, ${type}:</span>
        <a href=${ifDefined(this.href?.(row))} title=${row.title ?? ""} @click=${(event: MouseEvent) => this.#open(event, row)}>${row.title || t("Untitled")}</a>
      </span>
      <span class="buttons">${this.payloads ? payloadsOf(row).map((field) => this.#button(row, field)) : nothing}</span>
      ${this.#bar(row)}
      <span class="number">${row.type === "event" ? "" : took(row.duration_ms)}</span>
      <span class="tokens number muted">${tokenWords(row)}${row.model ? html`<small>${row.model}</small>` : nothing}</span>
      <span class="status ${row.status ?? ""}">${statusWords(row.status)}</span>
      ${row.error_message ? html`<span class="error">${row.error_message}</span>` : nothing}
    </li>`;
  }

  #button(row: Observation, field: PayloadField) {
    const cut = isCut(row, field);
    return html`<button type="button" class="${field} ${cut ? "cut" : ""}" title=${cut ? t("It was cut.") : ""}
      aria-label=${t("{0} of {1}", fieldWords(field), row.title || t("Untitled"))}
      @click=${() => this.#tell<PayloadDetail>("ai-payload", { observation: row, field })}>${fieldWords(field)}</button>`;
  }

  /** Where in the trace's time it lies. */
  #bar(row: Observation) {
    if (!this.#span || !row.started_at) return html`<span></span>`;
    const from = ((row.started_at - this.#from) / this.#span) * 100;
    const width = (((row.ended_at ?? this.#from + this.#span) - row.started_at) / this.#span) * 100;
    const style = `--from:${clamp(from)}%;--width:${clamp(width)}%`;
    return html`<span class="bar" aria-hidden="true"><i style=${style}></i></span>`;
  }

  #more() {
    const rest = this.observations.length - this.shown;
    if (rest <= 0) return nothing;
    return html`<p class="more">
      <span>${t("{0} of {1} observations", count(this.shown), count(this.observations.length))}</span>
      <button type="button" class="quiet" @click=${() => (this.shown += MORE)}>${t("Show {0} more", count(Math.min(MORE, rest)))}</button>
    </p>`;
  }

  /** A new tab is the browser's business. */
  #open(event: MouseEvent, observation: Observation): void {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#tell<ObservationDetail>("ai-observation", { observation });
  }

  #tell<Detail>(name: string, detail: Detail): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

/** Whether only the beginning of a payload was kept. */
export function isCut(row: Observation, field: PayloadField): boolean {
  if (field === "input") return Boolean(row.input_truncated);
  if (field === "output") return Boolean(row.output_truncated);
  return field === "reasoning" && Boolean(row.reasoning_truncated);
}

/** When it began, and how long all of it takes, in milliseconds. */
function extent(rows: readonly Observation[]): [number, number] {
  let from = Number.POSITIVE_INFINITY;
  let to = 0;
  for (const row of rows) {
    if (!row.started_at) continue;
    from = Math.min(from, row.started_at);
    to = Math.max(to, row.ended_at ?? row.started_at);
  }
  return Number.isFinite(from) ? [from, Math.max(0, to - from)] : [0, 0];
}

function clamp(percent: number): number {
  return Math.round(Math.min(100, Math.max(0, percent)) * 100) / 100;
}
