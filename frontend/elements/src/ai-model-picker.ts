/** `<ai-model-picker>`: which model answers. */
import type { ModelInfo } from "@ai-assistant/client";
import { css, html, LitElement, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { chevronIcon } from "./icons.ts";
import { t } from "./strings.ts";
import { baseStyles } from "./theme.ts";

@customElement("ai-model-picker")
export class AiModelPicker extends LitElement {
  static override shadowRootOptions = { ...LitElement.shadowRootOptions, delegatesFocus: true };
  static override styles = [
    baseStyles,
    css`
      :host { display: inline-block; min-width: 0; }
      label { position: relative; display: inline-flex; align-items: center; max-width: 100%; }
      select { appearance: none; font: inherit; font-size: 0.875rem; color: var(--ai-muted); background: none; border: 0;
        min-height: 2rem; max-width: 100%; padding: 0 1.6rem 0 0.6rem; border-radius: 8px; cursor: pointer;
        text-overflow: ellipsis; }
      select:hover { background: var(--ai-sunken); color: var(--ai-text); }
      option, optgroup { background: var(--ai-surface); color: var(--ai-text); }
      svg { position: absolute; right: 0.45rem; width: 14px; height: 14px; transform: rotate(90deg); pointer-events: none;
        color: var(--ai-muted); }
    `,
  ];

  @property({ attribute: false }) models: readonly ModelInfo[] = [];
  @property() value = "";

  protected override render() {
    if (!this.models.length) return nothing;
    return html`<label><span class="visually-hidden">${t("Model")}</span>
      <select .value=${this.value} @change=${this.#changed}>
        ${repeat(
          this.models,
          (it) => it.name,
          (it) =>
            html`<option value=${it.name} ?selected=${it.name === this.value}>${it.title || it.name}</option>`,
        )}
      </select>${chevronIcon}</label>`;
  }

  #changed(event: Event): void {
    this.value = (event.target as HTMLSelectElement).value;
    const detail = { model: this.value };
    this.dispatchEvent(new CustomEvent("ai-model", { detail, bubbles: true, composed: true }));
  }
}
