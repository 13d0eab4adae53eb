/** `<ai-thinking-indicator>`: "Thinking 3s", counted by the server's measure. */
import { css, html, LitElement } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { duration } from "./format.ts";
import { t } from "./strings.ts";
import { baseStyles } from "./theme.ts";

const TICK_MS = 100;

@customElement("ai-thinking-indicator")
export class AiThinkingIndicator extends LitElement {
  static override styles = [
    baseStyles,
    css`
      :host { display: inline-flex; align-items: center; gap: 0.55rem; min-height: 1.75rem; color: var(--ai-muted);
        font-size: 0.9375rem; }
      .dot { position: relative; width: 0.6rem; height: 0.6rem; border-radius: 50%; background: var(--ai-think); }
      .dot::after { content: ""; position: absolute; inset: 0; border-radius: 50%; background: var(--ai-think);
        animation: ring 1.6s ease-out infinite; }
      .time { font-variant-numeric: tabular-nums; }
      @keyframes ring { from { transform: scale(1); opacity: 0.55; } to { transform: scale(2.6); opacity: 0; } }
    `,
  ];

  @property() label = t("Thinking");
  /** Milliseconds since the task was accepted. Asked for at each tick, so that it may be corrected. */
  @property({ attribute: false }) elapsed: () => number = () => 0;

  @state() private shown = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#tick();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  override disconnectedCallback(): void {
    clearInterval(this.#timer);
    super.disconnectedCallback();
  }

  /** Only a new second changes anything on the page. */
  #tick(): void {
    this.shown = Math.floor(this.elapsed() / 1000);
  }

  protected override willUpdate(): void {
    this.#tick();
  }

  protected override render() {
    return html`<span class="dot" aria-hidden="true"></span>
      <span role="timer" class="time">${this.label} ${duration(this.shown * 1000)}</span>`;
  }
}
