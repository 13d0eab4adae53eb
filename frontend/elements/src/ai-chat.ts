/** `<ai-chat>`: one conversation, put together from the other components. */
import {
  type ChatSession,
  type ChatSnapshot,
  type ConnectionState,
  foldAttempts,
  type ModelInfo,
} from "@ai-assistant/client";
import { html, LitElement, nothing, type PropertyValues } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { AiComposer } from "./ai-composer.ts";
import "./ai-composer.ts";
import "./ai-connection-status.ts";
import "./ai-message.ts";
import "./ai-model-picker.ts";
import { announce } from "./announce.ts";
import { chatStyles } from "./chat-styles.ts";
import { downIcon } from "./icons.ts";
import { StickToEnd } from "./stick.ts";
import { t } from "./strings.ts";
import { baseStyles, scrollStyles } from "./theme.ts";

@customElement("ai-chat")
export class AiChat extends LitElement {
  static override styles = [baseStyles, scrollStyles, chatStyles];

  /** What is shown and what can be done; the element only draws it. */
  @property({ attribute: false }) session: ChatSession | null = null;
  @property({ attribute: false }) models: readonly ModelInfo[] = [];
  @property() model = "";
  @property() greeting = t("What would you like to know?");
  @property({ attribute: false }) suggestions: readonly string[] = [];

  @state() private snapshot: ChatSnapshot | null = null;
  @state() private connection: ConnectionState = "connecting";
  @state() private stopping = false;
  @state() private problem = "";
  @state() private atEnd = true;
  @query(".thread") private thread!: HTMLElement;
  @query(".content") private content!: HTMLElement;
  @query("ai-composer") private composer!: AiComposer;
  #stick: StickToEnd | null = null;
  #sentAt = 0;
  #unsubscribe: (() => void)[] = [];

  /** Puts the cursor where the question is written. */
  override focus(): void {
    if (this.composer) this.composer.focus();
    else void this.updateComplete.then(() => this.composer?.focus());
  }

  /** Events may come in dozens between two frames; the page is drawn once for each frame. */
  protected override async scheduleUpdate(): Promise<void> {
    if (this.hasUpdated && !document.hidden) await new Promise(requestAnimationFrame);
    await super.scheduleUpdate();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("session")) this.#subscribe();
  }

  protected override firstUpdated(): void {
    this.#stick = new StickToEnd(this.thread, this.content, () => {
      this.atEnd = this.#stick?.atEnd ?? true;
    });
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.addEventListener("keydown", this.#onKey);
    if (this.session && this.hasUpdated) this.#subscribe();
  }

  override disconnectedCallback(): void {
    this.removeEventListener("keydown", this.#onKey);
    for (const stop of this.#unsubscribe.splice(0)) stop();
    super.disconnectedCallback();
  }

  protected override render() {
    const { snapshot } = this;
    const turns = snapshot?.turns ?? [];
    const empty = !turns.length && !snapshot?.loading && !snapshot?.problem;
    return html`
      <section class="thread scroll ${empty ? "empty" : ""}" aria-label=${t("Conversation")} tabindex="-1">
        <div class="content">
          ${empty ? this.#welcome() : html`<h1 class="visually-hidden">${snapshot?.title || t("Chat")}</h1>`}
          ${snapshot?.loading ? html`<p class="hint">${t("Loading…")}</p>` : nothing}
          ${snapshot?.problem ? html`<p class="hint" role="alert">${t(snapshot.problem)}</p>` : nothing}
          ${repeat(
            foldAttempts(turns),
            ({ turn }) => turn.key,
            ({
              turn,
              earlier,
            }) => html`<ai-message .turn=${turn} .earlier=${earlier} .elapsed=${this.#elapsed}
              ?retryable=${turn === turns.at(-1) && !snapshot?.running} @ai-retry=${this.#retry}></ai-message>`,
          )}
        </div>
      </section>
      <div class="dock">
        <div class="float">
          <ai-connection-status .connection=${this.connection}></ai-connection-status>
          ${
            this.atEnd
              ? nothing
              : html`<button type="button" class="jump" @click=${() => this.#stick?.jump(true)}
                  aria-label=${t("Jump to newest")} title=${t("Jump to newest")}>${downIcon}</button>`
          }
        </div>
        ${empty ? html`<slot name="notice"></slot>` : nothing}
        ${this.problem ? html`<p class="problem" role="alert">${this.problem}</p>` : nothing}
        <ai-composer ?running=${Boolean(snapshot?.running)} ?stopping=${this.stopping}
          @ai-send=${this.#send} @ai-stop=${this.#stop}>
          <ai-model-picker .models=${this.models} .value=${this.model}></ai-model-picker>
        </ai-composer>
        <slot name="footer"></slot>
      </div>
      <div class="visually-hidden" role="status" aria-live="polite">${announce(turns.at(-1))}</div>
    `;
  }

  #welcome() {
    return html`
      <div class="welcome">
        <h1>${this.greeting}</h1>
        <div class="suggestions">
          ${this.suggestions.map((text) => html`<button type="button" @click=${() => this.#ask(text)}>${text}</button>`)}
        </div>
      </div>
    `;
  }

  /** Before the server has measured anything, the time since the click is shown. */
  #elapsed = (): number => {
    const running = this.session?.snapshot.running;
    if (!running) return 0;
    const measured = running.acceptedAt === null ? 0 : (this.session?.client.elapsedMs(running) ?? 0);
    return measured || (this.#sentAt ? performance.now() - this.#sentAt : 0);
  };

  #subscribe(): void {
    for (const stop of this.#unsubscribe.splice(0)) stop();
    const { session } = this;
    if (!session) return;
    this.#unsubscribe = [
      session.subscribe((snapshot) => this.#onSnapshot(snapshot)),
      session.client.onConnection((connection) => {
        this.connection = connection;
      }),
    ];
  }

  #onSnapshot(snapshot: ChatSnapshot): void {
    const before = this.snapshot;
    this.snapshot = snapshot;
    if (!snapshot.running) this.stopping = false;
    if (before?.conversation === snapshot.conversation && before?.title === snapshot.title) return;
    const switched = Boolean(before?.conversation) || !snapshot.running;
    if (switched) void this.updateComplete.then(() => this.#stick?.jump());
    const detail = { conversation: snapshot.conversation, title: snapshot.title };
    this.dispatchEvent(new CustomEvent("ai-conversation", { detail, bubbles: true, composed: true }));
  }

  #send(event: CustomEvent<{ text: string }>): void {
    if (!this.#ask(event.detail.text)) event.preventDefault();
  }

  #ask(text: string): boolean {
    this.problem = "";
    this.#sentAt = performance.now();
    const sent = this.session?.send(text, { model: this.model || null }) ?? false;
    if (sent) void this.updateComplete.then(() => this.#stick?.jump());
    this.focus();
    return sent;
  }

  #retry(event: CustomEvent<{ key: string }>): void {
    this.problem = "";
    this.#sentAt = performance.now();
    this.session?.retry(event.detail.key, { model: this.model || null });
    void this.updateComplete.then(() => this.#stick?.jump());
    this.focus();
  }

  async #stop(): Promise<void> {
    if (!this.session?.snapshot.running || this.stopping) return;
    this.stopping = true;
    try {
      await this.session.stop();
    } catch (error) {
      this.stopping = false;
      const why = error instanceof Error ? t(error.message) : "";
      this.problem = t("The answer could not be stopped. {0}", why);
    }
  }

  #onKey = (event: KeyboardEvent): void => {
    if (event.key === "Escape" && !event.isComposing) void this.#stop();
  };
}
