/**
 * `<ai-trace-payload>`: one prompt, reasoning or response. Users and models wrote it: it is text, whatever it looks
 * like, and never HTML.
 */
import type { PayloadField } from "@ai-assistant/client";
import { css, html, LitElement, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { copyText } from "./clipboard.ts";
import { checkIcon, copyIcon } from "./icons.ts";
import { t } from "./strings.ts";
import { baseStyles, scrollStyles } from "./theme.ts";
import { cutWords, fieldWords, lengthWords, pretty } from "./trace-words.ts";

@customElement("ai-trace-payload")
export class AiTracePayload extends LitElement {
  static override styles = [
    baseStyles,
    scrollStyles,
    css`
      :host { display: block; }
      .head { display: flex; align-items: center; gap: 0.75rem; min-height: 2rem; margin: 0 0 0.4rem; font-size: 0.8125rem;
        color: var(--ai-muted); }
      .length { margin-right: auto; font-variant-numeric: tabular-nums; }
      .cut { color: var(--ai-danger); font-weight: 600; }
      pre { margin: 0; padding: 0.8rem 1rem; max-height: min(60vh, 40rem); border-radius: 10px; background: var(--ai-sunken);
        color: var(--ai-text); font: 0.8125rem/1.55 var(--ai-mono); white-space: pre-wrap; overflow-wrap: anywhere;
        tab-size: 2; }
      .reasoning pre { border-left: 3px solid var(--ai-think); border-radius: 0 10px 10px 0;
        background: var(--ai-think-soft); color: var(--ai-think-text); font: 0.875rem/1.6 var(--ai-font); }
      .mark { display: flex; align-items: center; gap: 0.75rem; margin: 0.6rem 0 0; color: var(--ai-danger);
        font-size: 0.8125rem; }
      .mark::before, .mark::after { content: ""; flex: 1; border-top: 2px dashed currentColor; }
      p { margin: 0; font-size: 0.875rem; color: var(--ai-muted); }
      p[role="alert"] { color: var(--ai-danger); }
    `,
  ];

  @property() field: PayloadField = "input";
  /** `undefined` while it is on its way, `null` where there is none. */
  @property({ attribute: false }) text: string | null | undefined;
  /** Characters before it was cut, where that is known. */
  @property({ attribute: false }) all: number | null = null;
  @property({ type: Boolean }) cut = false;
  /** Why it could not be read. */
  @property() failure = "";

  @state() private copied = false;

  protected override render() {
    if (this.failure) return html`<p role="alert">${this.failure}</p>`;
    if (this.text === undefined) return html`<p role="status">${t("Loading…")}</p>`;
    if (!this.text) return html`<p>${t("There is nothing here.")}</p>`;
    const kept = characters(this.text);
    return html`
      <section class=${this.field} aria-label=${fieldWords(this.field)}>
        <div class="head">
          <span class="length">${lengthWords(kept, this.all, this.cut)}</span>
          ${this.cut ? html`<span class="cut">${t("cut")}</span>` : nothing}
          <button type="button" class="quiet" @click=${this.#copy}>
            ${this.copied ? checkIcon : copyIcon}${this.copied ? t("Copied") : t("Copy")}
          </button>
        </div>
        <pre class="scroll" tabindex="0">${pretty(this.text)}</pre>
        ${this.cut ? html`<div class="mark">${cutWords(kept, this.all)}</div>` : nothing}
      </section>
    `;
  }

  async #copy(): Promise<void> {
    this.copied = await copyText(this.text ?? "");
    if (this.copied) setTimeout(() => (this.copied = false), 2_000);
  }
}

/** As the server counts: a sign outside the basic plane is one character, not two. */
function characters(text: string): number {
  let pairs = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0xd800 && unit < 0xdc00) pairs++;
  }
  return text.length - pairs;
}
