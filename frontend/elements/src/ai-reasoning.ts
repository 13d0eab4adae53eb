/** `<ai-reasoning>`: what the model thought, open while it thinks and folded away after. */
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import "./ai-markdown.ts";
import "./ai-thinking-indicator.ts";
import { thoughtFor } from "./format.ts";
import { chevronIcon } from "./icons.ts";
import { t } from "./strings.ts";
import { baseStyles, scrollStyles, toggleStyles } from "./theme.ts";

@customElement("ai-reasoning")
export class AiReasoning extends LitElement {
  static override styles = [
    baseStyles,
    scrollStyles,
    toggleStyles,
    css`
      :host { display: block; }
      .body { margin: 0.35rem 0 0; padding: 0.7rem 1rem; border-left: 3px solid var(--ai-think);
        border-radius: 0 10px 10px 0; background: var(--ai-think-soft); color: var(--ai-think-text);
        font-size: 0.9375rem; }
      .body.running { max-height: 15rem; }
      .body.running.deep { mask-image: linear-gradient(to bottom, #0004, #000 2rem); }
      .body.done { max-height: 30rem; }
      .cut { margin: 0.6rem 0 0; font-size: 0.8125rem; font-style: italic; }
      ai-markdown { line-height: 1.55; }
    `,
  ];

  @property() text = "";
  @property({ type: Boolean }) running = false;
  /** True from the first text of the answer on. */
  @property({ type: Boolean }) answered = false;
  @property({ type: Boolean }) truncated = false;
  @property({ attribute: false }) durationMs: number | null = null;
  @property({ attribute: false }) elapsed: () => number = () => 0;
  @property() label = t("Thinking");

  /** What the person chose; until then it is open as long as the answer has not begun. */
  @state() private chosen: boolean | null = null;
  /** What was thought first has been scrolled out at the top. */
  @state() private deep = false;
  @query(".body") private body!: HTMLElement | null;
  #follow = true;
  #resized = new ResizeObserver(() => this.#toEnd());

  get expanded(): boolean {
    return this.chosen ?? (this.running && !this.answered);
  }

  protected override render() {
    return html`
      <button type="button" class="toggle" aria-expanded=${this.expanded} aria-controls="body" @click=${this.#toggle}>
        ${this.#heading()}<span class="chevron">${chevronIcon}</span>
      </button>
      <div id="body" class="body scroll ${this.running ? "running" : "done"} ${this.deep ? "deep" : ""}" ?hidden=${!this.expanded}
        role="region" aria-label=${t("Reasoning")} tabindex="0" @scroll=${this.#onScroll}>
        ${this.expanded ? html`<ai-markdown .text=${this.text} ?streaming=${this.running}></ai-markdown>` : nothing}
        ${this.truncated ? html`<p class="cut">${t("The reasoning was cut off here; it is longer.")}</p>` : nothing}
      </div>
    `;
  }

  #heading() {
    if (this.running && !this.answered) {
      return html`<ai-thinking-indicator .label=${this.label} .elapsed=${this.elapsed}></ai-thinking-indicator>`;
    }
    const { durationMs } = this;
    return html`<span>${durationMs === null ? t("Reasoning") : t("Thought for {0}", thoughtFor(durationMs))}</span>`;
  }

  #toggle(): void {
    this.chosen = !this.expanded;
  }

  #onScroll(): void {
    const { body } = this;
    if (!body) return;
    this.deep = body.scrollTop > 4;
    this.#follow = body.scrollHeight - body.scrollTop - body.clientHeight < 24;
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has("text")) requestAnimationFrame(() => this.#toEnd());
  }

  protected override firstUpdated(): void {
    if (this.body) this.#resized.observe(this.body);
  }

  override disconnectedCallback(): void {
    this.#resized.disconnect();
    super.disconnectedCallback();
  }

  /** Keeps the newest thought in view, unless the person has scrolled up. */
  #toEnd(): void {
    if (this.running && this.#follow) this.body?.scrollTo({ top: this.body.scrollHeight });
  }
}
