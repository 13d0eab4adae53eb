/** `<ai-composer>`: where the question is written. Enter sends, Shift+Enter begins a line, Escape stops. */
import { css, html, LitElement, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { sendIcon, stopIcon } from "./icons.ts";
import { t } from "./strings.ts";
import { baseStyles } from "./theme.ts";

const MAX_HEIGHT_PX = 260;

@customElement("ai-composer")
export class AiComposer extends LitElement {
  static override styles = [
    baseStyles,
    css`
      :host { display: block; }
      form { border: 1px solid var(--ai-line); border-radius: 18px; background: var(--ai-surface);
        box-shadow: var(--ai-shadow); transition: border-color 0.15s; }
      form:focus-within { border-color: var(--ai-accent); }
      form:has(textarea:focus-visible) { box-shadow: 0 0 0 1px var(--ai-accent), var(--ai-shadow); }
      textarea:focus-visible { outline: none; }
      textarea { display: block; width: 100%; padding: 0.95rem 1.1rem 0.35rem; border: 0; outline: 0; resize: none;
        background: none; color: inherit; font: inherit; font-size: 1rem; line-height: 1.5; scrollbar-width: thin; }
      textarea::placeholder { color: var(--ai-muted); opacity: 1; }
      .bar { display: flex; align-items: center; gap: 0.5rem; padding: 0.25rem 0.55rem 0.55rem; }
      .tools { flex: 1; min-width: 0; display: flex; align-items: center; }
      .round { display: inline-grid; place-items: center; width: 2.25rem; height: 2.25rem; border-radius: 50%;
        background: var(--ai-accent); color: var(--ai-on-accent); flex: none; }
      .round:hover { background: var(--ai-accent-hover); }
      .round:disabled { background: var(--ai-sunken); color: var(--ai-muted); }
      .round:focus-visible { border-radius: 50%; }
      .stop { background: var(--ai-text); color: var(--ai-bg); }
      .stop:hover { background: var(--ai-muted); }
    `,
  ];

  /** An answer is running: the button stops it, and Enter sends nothing. */
  @property({ type: Boolean }) running = false;
  @property({ type: Boolean }) stopping = false;
  @property({ type: Boolean }) disabled = false;
  @property() placeholder = t("Ask anything");

  @state() private text = "";
  @query("textarea") private area!: HTMLTextAreaElement;

  override focus(): void {
    if (this.area) this.area.focus();
    else void this.updateComplete.then(() => this.area.focus());
  }

  /** Puts a text in, for the person to send or change. */
  setText(text: string): void {
    this.text = text;
    void this.updateComplete.then(() => this.#fit());
  }

  protected override render() {
    return html`
      <form @submit=${this.#submit}>
        <textarea rows="1" aria-label=${t("Message")} .value=${this.text} placeholder=${this.placeholder}
          ?disabled=${this.disabled} enterkeyhint="send" @input=${this.#input} @keydown=${this.#key}></textarea>
        <div class="bar">
          <div class="tools"><slot></slot></div>
          ${this.running ? this.#stopButton() : this.#sendButton()}
        </div>
      </form>
    `;
  }

  #sendButton() {
    const empty = !this.text.trim();
    return html`<button class="round" type="submit" aria-label=${t("Send")} title=${t("Send (Enter)")}
      ?disabled=${empty || this.disabled}>${sendIcon}</button>`;
  }

  #stopButton() {
    return html`<button class="round stop" type="button" aria-label=${t("Stop")} title=${t("Stop (Escape)")}
      ?disabled=${this.stopping} @click=${this.#stop}>${stopIcon}${nothing}</button>`;
  }

  #input(): void {
    this.text = this.area.value;
    this.#fit();
  }

  #fit(): void {
    this.area.style.height = "auto";
    this.area.style.height = `${Math.min(this.area.scrollHeight, MAX_HEIGHT_PX)}px`;
  }

  #key(event: KeyboardEvent): void {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#send();
  }

  #submit(event: Event): void {
    event.preventDefault();
    this.#send();
  }

  /** The text stays until whoever listens has taken it (`preventDefault` says that it did not). */
  #send(): void {
    if (this.running || this.disabled || !this.text.trim()) return;
    const detail = { text: this.text };
    const taken = this.dispatchEvent(
      new CustomEvent("ai-send", { detail, bubbles: true, composed: true, cancelable: true }),
    );
    if (taken) this.setText("");
    this.focus();
  }

  #stop(): void {
    this.dispatchEvent(new CustomEvent("ai-stop", { bubbles: true, composed: true }));
    this.focus();
  }
}
