/** `<ai-dead-letters>`: events of traces that could not be stored, why, and the way to try them again. */
import type { AssistantClient, DeadLetter } from "@ai-assistant/client";
import { baseStyles, scrollStyles, t } from "@ai-assistant/elements";
import { css, html, LitElement, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { messageOf } from "./failure.ts";

const PAGE = 50;

@customElement("ai-dead-letters")
export class AiDeadLetters extends LitElement {
  static override styles = [
    baseStyles,
    scrollStyles,
    css`
      :host { display: block; min-height: 6rem; }
      table { width: 100%; border-collapse: collapse; font-size: 0.8125rem; }
      th { padding: 0.4rem 0.6rem; color: var(--ai-muted); font-weight: 400; text-align: start; white-space: nowrap; }
      td { padding: 0.5rem 0.6rem; border-top: 1px solid var(--ai-line); vertical-align: top; overflow-wrap: anywhere; }
      .when, .kind, .tries { white-space: nowrap; font-variant-numeric: tabular-nums; }
      .error { color: var(--ai-danger); white-space: pre-line; min-width: 12rem; }
      a { color: inherit; font-family: var(--ai-mono); }
      p { margin: 0.75rem 0 0; color: var(--ai-muted); font-size: 0.875rem; }
      [role="alert"] { color: var(--ai-danger); }
      .quiet { border: 1px solid var(--ai-line); }
    `,
  ];

  @property({ attribute: false }) client!: AssistantClient;

  @state() private letters: DeadLetter[] | null = null;
  @state() private older = false;
  @state() private busy = false;
  @state() private said = "";
  @state() private failure = "";

  /** Reads the newest ones. */
  load(): Promise<void> {
    return this.#work(() => this.#read([]));
  }

  /** Tries all of them again. */
  retryAll(): Promise<void> {
    return this.#retry(undefined);
  }

  protected override render() {
    return html`
      ${this.failure ? html`<p role="alert">${this.failure}</p>` : nothing}
      ${this.said ? html`<p role="status">${this.said}</p>` : nothing}
      ${this.#body()}
    `;
  }

  #body() {
    const { letters } = this;
    if (!letters) return this.failure ? nothing : html`<p role="status">${t("Loading…")}</p>`;
    if (!letters.length) return html`<p>${t("There is none: every event that arrived is stored.")}</p>`;
    const heads = [t("When"), t("What"), t("Trace"), t("Why"), t("Tries"), ""];
    return html`
      <div class="scroll"><table aria-busy=${this.busy}>
        <thead><tr>${heads.map((words) => html`<th>${words}</th>`)}</tr></thead>
        <tbody>${letters.map((letter) => this.#row(letter))}</tbody>
      </table></div>
      ${this.older ? html`<p><button type="button" class="quiet" ?disabled=${this.busy} @click=${this.#more}>${t("Show older")}</button></p>` : nothing}
    `;
  }

  #row(letter: DeadLetter) {
    const trace = letter.trace.slice(0, 8);
    return html`<tr>
      <td class="when">${new Date(letter.at).toLocaleString()}</td>
      <td class="kind">${letter.kind}${letter.events > 1 ? ` × ${letter.events}` : nothing}</td>
      <td>${trace ? html`<a href=${`/app/ai-trace/${encodeURIComponent(letter.trace)}`} target="_blank" rel="noopener">${trace}…</a>` : "–"}</td>
      <td class="error">${letter.error}</td>
      <td class="tries">${letter.tries}</td>
      <td><button type="button" class="quiet" ?disabled=${this.busy} @click=${() => this.#retry([letter.id])}>${t("Retry")}</button></td>
    </tr>`;
  }

  #more(): Promise<void> {
    return this.#work(() => this.#read(this.letters ?? []));
  }

  #retry(ids: string[] | undefined): Promise<void> {
    return this.#work(async () => {
      const moved = await this.client.api.retryDeadLetters(ids);
      this.said = t("{0} on their way again. One that fails once more comes back to this list.", moved);
      await this.#read([]);
    });
  }

  /** Reads the page behind `known`. */
  async #read(known: DeadLetter[]): Promise<void> {
    const page = await this.client.api.getDeadLetters({ limit: PAGE, before: known.at(-1)?.id });
    this.letters = [...known, ...page];
    this.older = page.length === PAGE;
  }

  async #work(what: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.failure = "";
    this.said = "";
    try {
      await what();
    } catch (error) {
      this.failure = messageOf(error);
    } finally {
      this.busy = false;
    }
  }
}
