/** Keeps a scrolled box at its end while it grows, until the person scrolls up. */

/** So near the end counts as being there. */
const NEAR_PX = 48;

export class StickToEnd {
  /** True as long as the end is to be kept in view. */
  atEnd = true;
  #lastTop = 0;
  readonly #observer: ResizeObserver;

  constructor(
    private readonly box: HTMLElement,
    content: Element,
    private readonly changed: () => void,
  ) {
    this.#observer = new ResizeObserver(() => this.follow());
    this.#observer.observe(content);
    this.#observer.observe(box);
    box.addEventListener("scroll", this.#onScroll, { passive: true });
  }

  dispose(): void {
    this.#observer.disconnect();
    this.box.removeEventListener("scroll", this.#onScroll);
  }

  /** Goes to the end if that is wanted. */
  follow(): void {
    if (this.atEnd) this.box.scrollTop = this.box.scrollHeight;
    else this.#judge();
  }

  /** Goes to the end, whatever the person did before. */
  jump(smooth = false): void {
    this.#set(true);
    const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.box.scrollTo({ top: this.box.scrollHeight, behavior: smooth && !reduced ? "smooth" : "instant" });
  }

  #onScroll = (): void => {
    const up = this.box.scrollTop < this.#lastTop - 1;
    this.#lastTop = this.box.scrollTop;
    if (up && this.#distance() > 2) this.#set(false);
    else this.#judge();
  };

  #judge(): void {
    if (this.#distance() <= NEAR_PX) this.#set(true);
  }

  #distance(): number {
    return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight;
  }

  #set(atEnd: boolean): void {
    if (this.atEnd === atEnd) return;
    this.atEnd = atEnd;
    this.changed();
  }
}
