/** `<ai-connection-status>`: says how events arrive, when it is not as it should be. */
import type { ConnectionState } from "@ai-assistant/client";
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { later, t } from "./strings.ts";
import { baseStyles } from "./theme.ts";

const WORDS: Record<ConnectionState, string> = {
  connecting: later("Connecting…"),
  live: "",
  resuming: later("Connection lost, resuming…"),
  polling: later("No live connection; answers still arrive, a little later"),
  offline: later("The server cannot be reached. Trying again…"),
};

/** A trouble that is over within this time is not worth a word. */
const PATIENCE_MS: Record<ConnectionState, number> = {
  connecting: 2_000,
  live: 0,
  resuming: 250,
  polling: 900,
  offline: 0,
};

@customElement("ai-connection-status")
export class AiConnectionStatus extends LitElement {
  static override styles = [
    baseStyles,
    css`
      :host { display: block; }
      p { display: inline-flex; align-items: center; gap: 0.5rem; margin: 0; padding: 0.35rem 0.8rem; border-radius: 99px;
        border: 1px solid var(--ai-line); background: var(--ai-surface); color: var(--ai-text); font-size: 0.8125rem;
        box-shadow: var(--ai-shadow); }
      i { width: 0.5rem; height: 0.5rem; border-radius: 50%; background: var(--ai-think); animation: blink 1.2s infinite; }
      .offline i { background: var(--ai-danger); }
      @keyframes blink { 50% { opacity: 0.3; } }
    `,
  ];

  @property() connection: ConnectionState = "connecting";
  @state() private shown: ConnectionState = "live";
  #timer: ReturnType<typeof setTimeout> | undefined;

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has("connection")) return;
    clearTimeout(this.#timer);
    const { connection } = this;
    const delay = PATIENCE_MS[connection];
    if (!delay) this.shown = connection;
    else {
      this.#timer = setTimeout(() => {
        this.shown = connection;
      }, delay);
    }
  }

  override disconnectedCallback(): void {
    clearTimeout(this.#timer);
    super.disconnectedCallback();
  }

  protected override render() {
    const words = WORDS[this.shown];
    return html`<div role="status">${words ? html`<p class=${this.shown}><i></i>${t(words)}</p>` : nothing}</div>`;
  }
}
