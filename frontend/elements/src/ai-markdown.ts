/** `<ai-markdown>`: a model's markdown, safely and while it grows. */
import { html, LitElement, type PropertyValues } from "lit";
import { customElement, property } from "lit/decorators.js";
import { copyText } from "./clipboard.ts";
import { BlockReader } from "./markdown/blocks.ts";
import { renderBlocks } from "./markdown/render.ts";
import { markdownStyles } from "./markdown-styles.ts";
import { t } from "./strings.ts";
import { baseStyles } from "./theme.ts";

/** A rendering that took t waits this many t before the next one, so that typing and scrolling stay free. */
const REST = 3;
const FRAME_MS = 16;
const COPIED_MS = 1_600;

@customElement("ai-markdown")
export class AiMarkdown extends LitElement {
  static override styles = [baseStyles, markdownStyles];

  @property() text = "";
  /** True while the text grows. */
  @property({ type: Boolean }) streaming = false;

  readonly #reader = new BlockReader();
  #lastCost = 0;
  #lastEnd = 0;

  /** Text that comes faster than it can be shown is shown at the pace that leaves the page usable. */
  protected override async scheduleUpdate(): Promise<void> {
    const wait = this.#lastEnd + this.#lastCost * REST - performance.now();
    if (this.streaming && this.#lastCost > FRAME_MS / 2 && wait > 0) {
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    const begun = performance.now();
    await super.scheduleUpdate();
    this.#lastEnd = performance.now();
    this.#lastCost = this.#lastEnd - begun;
  }

  protected override shouldUpdate(changed: PropertyValues<this>): boolean {
    return changed.has("text") || changed.has("streaming") || !this.hasUpdated;
  }

  protected override render() {
    const blocks = this.#reader.read(this.text, !this.streaming);
    return html`<div class="body" @click=${this.#onClick}>${renderBlocks(blocks, this.streaming)}</div>`;
  }

  async #onClick(event: Event): Promise<void> {
    const button = (event.target as Element).closest<HTMLButtonElement>("button[data-copy]");
    const code = button?.closest("figure")?.querySelector("code");
    if (!button || !code) return;
    const copied = await copyText(code.textContent ?? "");
    const label = button.querySelector("span");
    if (!label) return;
    label.textContent = copied ? t("Copied") : t("Select and copy by hand");
    setTimeout(() => {
      label.textContent = t("Copy");
    }, COPIED_MS);
  }
}
