/** `<ai-transcript>`: stored messages to be read, without anything to be done about them. */
import { foldAttempts, type StoredMessage, turnFromStored } from "@ai-assistant/client";
import { css, html, LitElement, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import "./ai-message.ts";
import { t } from "./strings.ts";
import { baseStyles } from "./theme.ts";

@customElement("ai-transcript")
export class AiTranscript extends LitElement {
  static override styles = [
    baseStyles,
    css`
      :host { display: block; }
      .content { display: flex; flex-direction: column; gap: 1.4rem; max-width: 52rem; }
      .hint { margin: 0; color: var(--ai-muted); font-size: 0.875rem; }
      .quiet { align-self: flex-start; border: 1px solid var(--ai-line); }
    `,
  ];

  @property({ attribute: false }) messages: readonly StoredMessage[] = [];
  @property({ type: Boolean }) loading = false;
  /** There are earlier messages; `ai-earlier` asks for them. */
  @property({ type: Boolean }) earlier = false;

  protected override render() {
    const shown = foldAttempts(this.messages.map(turnFromStored));
    return html`
      <section class="content" aria-label=${t("Conversation")} aria-busy=${this.loading}>
        ${this.#top(shown.length)}
        ${repeat(
          shown,
          ({ turn }) => turn.key,
          ({ turn, earlier }) => html`<ai-message .turn=${turn} .earlier=${earlier}></ai-message>`,
        )}
      </section>
    `;
  }

  #top(count: number) {
    if (this.loading) return html`<p class="hint">${t("Loading…")}</p>`;
    if (!count) return html`<p class="hint">${t("No message yet.")}</p>`;
    if (!this.earlier) return nothing;
    return html`<button type="button" class="quiet" @click=${this.#ask}>${t("Show earlier messages")}</button>`;
  }

  #ask(): void {
    this.dispatchEvent(new CustomEvent("ai-earlier", { bubbles: true, composed: true }));
  }
}
