/** The list of conversations: loaded, searched, paged, renamed and deleted through the API. */
import type { Api, ConversationInfo } from "@ai-assistant/client";

const PAGE = 50;

export class Conversations {
  items: ConversationInfo[] = [];
  loading = true;
  problem = "";
  more = false;
  #search = "";
  #round = 0;

  constructor(
    private readonly api: Api,
    private readonly changed: () => void,
  ) {}

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
    await this.#load(this.items.at(-1)?.modified);
  }

  async rename(name: string, title: string): Promise<void> {
    await this.#change(async () => {
      await this.api.renameConversation(name, title);
      this.items = this.items.map((it) => (it.name === name ? { ...it, title } : it));
    });
  }

  /** Returns whether it is gone. */
  delete(name: string): Promise<boolean> {
    return this.#change(async () => {
      await this.api.deleteConversation(name);
      this.items = this.items.filter((it) => it.name !== name);
    });
  }

  async #load(before: string | undefined): Promise<void> {
    this.#round += 1;
    const round = this.#round;
    await this.#change(async () => {
      const search = this.#search || undefined;
      const page = await this.api.getConversations({ limit: PAGE, before, search });
      if (round !== this.#round) return; // a later search has been asked meanwhile
      const known = before ? this.items : [];
      this.items = [...known, ...page.filter((it) => !known.some((have) => have.name === it.name))];
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
