/** `<ai-tool-call>`: one call of a tool, its arguments and how it went. */
import type { ToolCall } from "@ai-assistant/client";
import { css, html, LitElement, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import { latency } from "./format.ts";
import { chevronIcon, toolIcon } from "./icons.ts";
import { later, t } from "./strings.ts";
import { baseStyles } from "./theme.ts";

const RUN_WORDS: Record<ToolCall["run"], string> = {
  none: later("requested"),
  started: later("running"),
  completed: later("done"),
  failed: later("failed"),
};

@customElement("ai-tool-call")
export class AiToolCall extends LitElement {
  static override styles = [
    baseStyles,
    css`
      :host { display: block; margin: 0.6rem 0; }
      details { border: 1px solid var(--ai-line); border-radius: 10px; background: var(--ai-surface); font-size: 0.875rem; }
      summary { display: flex; align-items: center; gap: 0.5rem; padding: 0.5rem 0.75rem; cursor: pointer; }
      summary::-webkit-details-marker { display: none; }
      .name { font-family: var(--ai-mono); font-weight: 600; overflow-wrap: anywhere; }
      .state { margin-left: auto; color: var(--ai-muted); white-space: nowrap; }
      .failed { color: var(--ai-danger); }
      pre { margin: 0; padding: 0.6rem 0.9rem; border-top: 1px solid var(--ai-line); white-space: pre-wrap;
        overflow-wrap: anywhere; font: 0.8125rem/1.5 var(--ai-mono); max-height: 18rem; overflow: auto; }
      .chevron { display: inline-flex; color: var(--ai-muted); transition: transform 0.15s; }
      [open] .chevron { transform: rotate(90deg); }
      progress { appearance: none; width: calc(100% - 1.5rem); height: 4px; display: block; margin: 0.4rem 0.75rem 0;
        border: 0; border-radius: 2px; overflow: hidden; background: var(--ai-line); }
      ::-webkit-progress-bar { background: var(--ai-line); }
      ::-webkit-progress-value { background: var(--ai-accent); }
      ::-moz-progress-bar { background: var(--ai-accent); }
      p { margin: 0; padding: 0 0.9rem 0.6rem; color: var(--ai-muted); }
    `,
  ];

  @property({ attribute: false }) call: ToolCall | null = null;

  protected override render() {
    const { call } = this;
    if (!call) return nothing;
    return html`
      <details>
        <summary>${toolIcon}<span class="name">${call.name || t("tool")}</span>
          <span class="state ${call.run === "failed" ? "failed" : ""}">${this.#state(call)}</span>
          <span class="chevron">${chevronIcon}</span></summary>
        <pre tabindex="0" aria-label=${t("Arguments")}>${pretty(call)}</pre>
        ${call.error ? html`<p class="failed">${call.error}</p>` : nothing}
      </details>
      ${
        call.run === "started" && call.progress !== undefined
          ? html`<progress max="100" .value=${call.progress} aria-label=${t("Progress of {0}", call.name)}></progress>`
          : nothing
      }
    `;
  }

  #state(call: ToolCall): string {
    if (!call.closed) return t("writing arguments…");
    const words = call.message || t(RUN_WORDS[call.run]);
    return call.durationMs === undefined ? words : `${words} · ${latency(call.durationMs)}`;
  }
}

/** Whole arguments are indented; unfinished ones are shown as they come. */
function pretty(call: ToolCall): string {
  try {
    return JSON.stringify(JSON.parse(call.arguments), null, 2);
  } catch {
    return call.arguments;
  }
}
