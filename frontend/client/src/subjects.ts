/** Who wants to hear of tasks about a subject, whoever started them: a program of the server, another window. */
import type { TaskState } from "./state.ts";

/** A subject (`Receipt/R-1`), or what decides whether one is meant. */
export type SubjectFilter = string | ((subject: string) => boolean);

/** So many tasks are remembered, so that a late event of one that has ended does not begin it anew. */
const REMEMBERED = 500;

interface Subscription {
  filter: SubjectFilter;
  listener: (state: TaskState) => void;
}

export class Subjects {
  readonly #subscriptions = new Set<Subscription>();
  readonly #known = new Set<string>();

  add(filter: SubjectFilter, listener: (state: TaskState) => void): () => void {
    const subscription = { filter, listener };
    this.#subscriptions.add(subscription);
    return () => this.#subscriptions.delete(subscription);
  }

  /** True once for each task that somebody wants: it is to be followed. */
  discovers(taskId: string, subject: unknown): boolean {
    if (typeof subject !== "string" || this.#known.has(taskId)) return false;
    if (![...this.#subscriptions].some((it) => matches(it.filter, subject))) return false;
    this.#known.add(taskId);
    for (const oldest of this.#known) {
      if (this.#known.size <= REMEMBERED) break;
      this.#known.delete(oldest);
    }
    return true;
  }

  /** Tells those who want the task of a change. */
  tell(state: TaskState): void {
    const { subject } = state;
    if (subject === null) return;
    for (const it of this.#subscriptions) if (matches(it.filter, subject)) it.listener(state);
  }
}

function matches(filter: SubjectFilter, subject: string): boolean {
  return typeof filter === "string" ? filter === subject : filter(subject);
}
