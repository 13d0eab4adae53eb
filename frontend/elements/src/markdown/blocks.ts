/**
 * Markdown that grows. Only its last blocks can still change when text is appended, so only they are read
 * again; everything before keeps its token objects, by which the renderer knows that nothing changed.
 */
import { Lexer, type Token } from "marked";

/** Blocks at the end that appended text may still merge or turn into something else. */
const UNSETTLED = 3;

export class BlockReader {
  #text = "";
  #blocks: Token[] = [];
  #settled = 0;
  #settledLength = 0;

  /** The blocks of the whole text. `final` reads it all once more, for links that are defined at its end. */
  read(source: string, final = false): readonly Token[] {
    const text = source.replace(/\r\n?/g, "\n");
    if (text === this.#text && !final) return this.#blocks;
    const grown = !final && text.startsWith(this.#text);
    if (!grown) this.#forget();
    this.#text = text;
    const fresh = new Lexer().lex(text.slice(this.#settledLength));
    const kept = grown ? this.#blocks : [];
    this.#blocks = [...kept.slice(0, this.#settled), ...this.#reuse(fresh)];
    if (!final) this.#settle();
    return this.#blocks;
  }

  #forget(): void {
    this.#settled = 0;
    this.#settledLength = 0;
  }

  /** A block that reads the same as the one in its place before is the same one. */
  #reuse(fresh: Token[]): Token[] {
    return fresh.map((token, index) => {
      const before = this.#blocks[this.#settled + index];
      return before && before.raw === token.raw && before.type === token.type && !hasReference(token)
        ? before
        : token;
    });
  }

  #settle(): void {
    let left = UNSETTLED;
    let end = this.#blocks.length;
    while (end > this.#settled && left > 0) {
      end -= 1;
      if (this.#blocks[end]?.type !== "space") left -= 1;
    }
    for (const block of this.#blocks.slice(this.#settled, end)) this.#settledLength += block.raw.length;
    this.#settled = end;
  }
}

/** `[text][name]` may come to mean something once the name is defined. */
function hasReference(token: Token): boolean {
  return token.type !== "code" && token.raw.includes("[");
}
