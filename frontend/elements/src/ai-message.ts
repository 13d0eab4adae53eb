/** `<ai-message>`: one question or one answer. */
import { isOpen, type Turn } from "@ai-assistant/client";
import { html, LitElement, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import "./ai-markdown.ts";
import "./ai-reasoning.ts";
import "./ai-thinking-indicator.ts";
import "./ai-tool-call.ts";
import { copyText } from "./clipboard.ts";
import { cost, latency, tokens } from "./format.ts";
import { alertIcon, checkIcon, chevronIcon, copyIcon, retryIcon } from "./icons.ts";
import { messageStyles } from "./message-styles.ts";
import { later, t } from "./strings.ts";
import { baseStyles, toggleStyles } from "./theme.ts";
import { attemptWords, errorAdvice, errorTitle, finishWords, noticeWords, trimmedWords } from "./words.ts";

const COPIED_MS = 1_600;

@customElement("ai-message")
export class AiMessage extends LitElement {
  static override styles = [baseStyles, toggleStyles, messageStyles];

  @property({ attribute: false }) turn: Turn | null = null;
  /** Milliseconds since the task was accepted, while it runs. */
  @property({ attribute: false }) elapsed: () => number = () => 0;
  /** Attempts at the same answer before this one, which failed or were stopped. */
  @property({ attribute: false }) earlier: readonly Turn[] = [];
  @property() label = t("Assistant");
  /** Whether "Try again" is offered where it makes sense. */
  @property({ type: Boolean }) retryable = false;
  @state() private copied = false;
  @state() private showEarlier = false;

  protected override render() {
    const { turn } = this;
    if (!turn) return nothing;
    if (turn.role === "user") return this.#question(turn);
    return turn.role === "assistant" ? this.#answer(turn) : this.#aside(turn);
  }

  /** What was said to the model, but not by a person: a tool's result, a system prompt. */
  #aside(turn: Turn) {
    const title = turn.role === "tool" ? t("Result of a tool") : t("System prompt");
    return html`<details class="aside"><summary>${title}<span class="chevron">${chevronIcon}</span></summary>
      <pre tabindex="0" aria-label=${title}>${turn.content}</pre></details>`;
  }

  #question(turn: Turn) {
    return html`<article class="question" aria-label=${t("You")}><div class="bubble">${turn.content}</div></article>`;
  }

  #answer(turn: Turn) {
    const open = isOpen(turn);
    return html`
      ${this.#attempts()}
      <article class="answer" aria-label=${this.label} aria-busy=${open}>
        <h2 class="visually-hidden">${this.label}</h2>
        ${this.#trimmed(turn)}
        ${this.#thinking(turn, open)}
        ${turn.content ? html`<ai-markdown .text=${turn.content} ?streaming=${open}></ai-markdown>` : nothing}
        ${turn.toolCalls.map((call) => html`<ai-tool-call .call=${call}></ai-tool-call>`)}
        ${this.#midway(turn, open)} ${this.#ending(turn)} ${open ? nothing : this.#footer(turn)}
      </article>
    `;
  }

  #attempts() {
    const { earlier, showEarlier } = this;
    if (!earlier.length) return nothing;
    return html`
      <button type="button" class="toggle" aria-expanded=${showEarlier} aria-controls="earlier" @click=${this.#toggle}>
        <span>${attemptWords(earlier)}</span><span class="chevron">${chevronIcon}</span>
      </button>
      <div id="earlier" ?hidden=${!showEarlier}>
        ${showEarlier ? earlier.map((it) => html`<ai-message .turn=${it} label=${t("Earlier attempt")}></ai-message>`) : nothing}
      </div>
    `;
  }

  #trimmed(turn: Turn) {
    const words = trimmedWords(turn.trimmedMessages);
    return words ? html`<p class="trimmed">${words}</p>` : nothing;
  }

  #thinking(turn: Turn, open: boolean) {
    const answered = turn.content !== "" || turn.toolCalls.length > 0;
    const label = noticeWords(turn.notice);
    if (turn.reasoning) {
      return html`<ai-reasoning .text=${turn.reasoning} ?running=${open && !answered} ?answered=${answered}
        ?truncated=${turn.reasoningTruncated} .durationMs=${turn.reasoningMs} .elapsed=${this.elapsed}
        .label=${label}></ai-reasoning>`;
    }
    if (!open || answered) return nothing;
    return html`<ai-thinking-indicator .label=${label} .elapsed=${this.elapsed}></ai-thinking-indicator>`;
  }

  /** A status that comes when part of the answer is already there. */
  #midway(turn: Turn, open: boolean) {
    if (!open || !turn.notice || !turn.content) return nothing;
    return html`<p class="note">${noticeWords(turn.notice)}…</p>`;
  }

  #ending(turn: Turn) {
    if (turn.status === "cancelled") return html`<p class="note">${t("You stopped this answer.")}</p>`;
    if (turn.status === "failed" || turn.status === "interrupted") return this.#error(turn);
    const early = finishWords(turn.finishReason);
    return early ? html`<p class="note">${early}</p>` : nothing;
  }

  #error(turn: Turn) {
    const error = turn.error ?? {
      code: turn.status,
      message: later("No more is known about it."),
      retryable: true,
    };
    return html`
      <div class="error" role="group" aria-label=${t("Error")}>
        ${alertIcon}
        <div>
          <strong>${errorTitle(turn)}</strong>
          <p>${t(error.message)} ${errorAdvice(error)}</p>
          <code>${error.code}</code>
        </div>
      </div>
    `;
  }

  #footer(turn: Turn) {
    const again = this.retryable && turn.status !== "completed";
    return html`
      <footer>
        ${
          again
            ? html`<button type="button" class="quiet retry" @click=${this.#retry}>${retryIcon}<span>${t("Try again")}</span></button>`
            : nothing
        }
        ${
          turn.content
            ? html`<button type="button" class="quiet" aria-label=${t("Copy answer")} @click=${this.#copy}>
                ${this.copied ? checkIcon : copyIcon}<span>${this.copied ? t("Copied") : t("Copy")}</span></button>`
            : nothing
        }
        <span class="usage">${usageParts(turn).map((it) => html`<span>${it}</span>`)}</span>
      </footer>
    `;
  }

  #toggle(): void {
    this.showEarlier = !this.showEarlier;
  }

  #retry(): void {
    const detail = { key: this.turn?.key ?? "" };
    this.dispatchEvent(new CustomEvent("ai-retry", { detail, bubbles: true, composed: true }));
  }

  async #copy(): Promise<void> {
    this.copied = await copyText(this.turn?.content ?? "");
    setTimeout(() => {
      this.copied = false;
    }, COPIED_MS);
  }
}

/** Model, tokens, cost and time to the first token, as far as they are known. */
function usageParts(turn: Turn): string[] {
  const { usage, timings } = turn;
  const parts = [turn.model, usage && tokens(usage)];
  if (typeof usage?.cost === "number") parts.push(cost(usage.cost));
  if (typeof timings?.ttft_ms === "number") parts.push(t("first token {0}", latency(timings.ttft_ms)));
  return parts.filter((it): it is string => Boolean(it));
}
