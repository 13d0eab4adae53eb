/** The list of conversations: loaded, searched, paged, renamed and deleted through the API. */
import type { Api, ConversationInfo } from "./api.ts";

const PAGE = 50;

const TITLE_LENGTH = 60;

export class Conversations {
  loading = true;
  problem = "";
  more = false;
  #loaded: ConversationInfo[] = [];
  /** One that has just begun, until the server lists it. */
  #begun: ConversationInfo | null = null;
  #search = "";
  #round = 0;

  constructor(
    private readonly api: Api,
    private readonly changed: () => void,
  ) {}

  get items(): readonly ConversationInfo[] {
    const begun = this.#begun;
    const listed = !begun || this.#search || this.#loaded.some((it) => it.name === begun.name);
    return listed ? this.#loaded : [begun, ...this.#loaded];
  }

  /** Lists a conversation that has just got its name, by its question. */
  begin(name: string, question: string): void {
    if (this.#loaded.some((it) => it.name === name)) return;
    const title = question.split("\n", 1)[0]?.slice(0, TITLE_LENGTH) ?? "";
    this.#begun = { name, title, modified: new Date().toISOString() };
    this.changed();
  }

  /** Reads the first page again. */
  async refresh(): Promise<void> {
    await this.#load(undefined);
  }

  async search(text: string): Promise<void> {
    this.#search = text;
    await this.#load(undefined);
  }

  /** Reads the next page. */
  async older(): Promise<void> {
    await this.#load(this.#loaded.at(-1)?.modified);
  }

  async rename(name: string, title: string): Promise<void> {
    await this.#change(async () => {
      await this.api.renameConversation(name, title);
      this.#loaded = this.#loaded.map((it) => (it.name === name ? { ...it, title } : it));
    });
  }

  /** Returns whether it is gone. */
  delete(name: string): Promise<boolean> {
    return this.#change(async () => {
      await this.api.deleteConversation(name);
      this.#loaded = this.#loaded.filter((it) => it.name !== name);
      if (this.#begun?.name === name) this.#begun = null;
    });
  }

  async #load(before: string | undefined): Promise<void> {
    this.#round += 1;
    const round = this.#round;
    await this.#change(async () => {
      const search = this.#search || undefined;
      const page = await this.api.getConversations({ limit: PAGE, before, search });
      if (round !== this.#round) return; // a later search has been asked meanwhile
      const known = before ? this.#loaded : [];
      this.#loaded = [...known, ...page.filter((it) => !known.some((have) => have.name === it.name))];
      this.more = page.length === PAGE;
    });
  }

  async #change(act: () => Promise<void>): Promise<boolean> {
    try {
      await act();
      this.problem = "";
      return true;
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
      return false;
    } finally {
      this.loading = false;
      this.changed();
    }
  }
}
