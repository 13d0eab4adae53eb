/** Tasks that were given up while the server could not be reached: it is told when it can be reached again. */
import { ApiError } from "./errors.ts";

export interface AbandonedPorts {
  cancel(taskId: string): Promise<unknown>;
  /** The first task has come or the last one has gone. */
  changed(): void;
  /** The server has stopped the task, or does not know it any more. */
  settled(taskId: string): void;
}

const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 30_000;

export class AbandonedTasks {
  readonly #tasks = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pause = FIRST_PAUSE_MS;

  constructor(private readonly ports: AbandonedPorts) {}

  /** The server has not been told of all of them. */
  get waiting(): boolean {
    return this.#tasks.size > 0;
  }

  add(taskId: string): void {
    this.#tasks.add(taskId);
    this.ports.changed();
    this.#arm();
  }

  /** Asks at once: the server seems to be there again. */
  hurry(): void {
    this.#pause = FIRST_PAUSE_MS;
    if (this.waiting) void this.#tellAll();
  }

  /** Forgets them. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#tasks.clear();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (!this.waiting) return;
    this.#timer = setTimeout(() => void this.#tellAll(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, LAST_PAUSE_MS);
  }

  async #tellAll(): Promise<void> {
    clearTimeout(this.#timer);
    for (const taskId of [...this.#tasks]) {
      if (!(await this.#tell(taskId))) break;
    }
    if (this.waiting) this.#arm();
    else this.#pause = FIRST_PAUSE_MS;
  }

  /** Returns whether the server answered; any refusal, too, means that there is nothing left to stop. */
  async #tell(taskId: string): Promise<boolean> {
    try {
      await this.ports.cancel(taskId);
    } catch (error) {
      if (error instanceof ApiError && (error.retryable || error.status >= 500)) return false;
    }
    if (!this.#tasks.delete(taskId)) return true;
    this.ports.settled(taskId);
    this.ports.changed();
    return true;
  }
}
