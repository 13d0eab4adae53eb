/**
 * The question that this tab asked last, until its answer is over: a reload may come before the server has
 * written either of them into the conversation.
 */

export interface PendingTask {
  taskId: string;
  conversation: string | null;
  text: string;
}

/** The part of `Storage` that is needed. */
export interface KeyValue {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

const KEY = "ai_assistant.pending";

export class PendingStore {
  constructor(private readonly storage: KeyValue | null) {}

  read(): PendingTask | null {
    const text = this.#guarded(() => this.storage?.getItem(KEY) ?? null);
    if (!text) return null;
    try {
      const value = JSON.parse(text) as Partial<PendingTask>;
      if (typeof value.taskId !== "string" || typeof value.text !== "string") return null;
      return { taskId: value.taskId, text: value.text, conversation: value.conversation ?? null };
    } catch {
      return null; // written by something else
    }
  }

  write(pending: PendingTask): void {
    this.#guarded(() => this.storage?.setItem(KEY, JSON.stringify(pending)));
  }

  clear(taskId: string): void {
    if (this.read()?.taskId === taskId) this.#guarded(() => this.storage?.removeItem(KEY));
  }

  /** Storage that is full or forbidden costs only the resume of a very early reload. */
  #guarded<T>(use: () => T): T | null {
    try {
      return use();
    } catch {
      return null;
    }
  }
}
