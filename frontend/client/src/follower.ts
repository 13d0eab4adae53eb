/** Follows one task to its end: live events as they come, and `get_events` wherever they do not. */

import type { Task } from "./api.ts";
import { ApiError } from "./errors.ts";
import type { EventPage } from "./events.ts";
import { parseEvent } from "./events.ts";
import { nextDelay } from "./pace.ts";
import { reduce, settleGap } from "./reducer.ts";
import { failLocally, foldTask, forgotten, givenUp, refusal } from "./settle.ts";
import { hasGap, initialState, isEnded, type TaskState } from "./state.ts";

/** What a follower needs of the world. */
export interface FollowerPorts {
  fetchEvents(taskId: string, afterSeq: number): Promise<EventPage>;
  fetchTask(taskId: string): Promise<Task>;
  isLive(): boolean;
  /** The state or the way it is kept up to date has changed. */
  changed(follower: TaskFollower): void;
}

/** How the state is being kept up to date. */
export type Sync = "live" | "resuming" | "polling" | "failing";

/** After so many fruitless askings a missing event is taken for lost. */
const GIVE_UP_GAP = 4;
/** Events in a page beyond which another one is likely. */
const FULL_PAGE = 100;

export class TaskFollower {
  #state: TaskState;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #begun = false;
  #stopped = false;
  #fetching = false;
  #again = false;
  #resuming = false;
  #deaf = false;
  #idle = 0;
  #failures = 0;
  #retryAfterMs: number | null = null;
  #resolveDone!: (state: TaskState) => void;

  /** Fulfilled with the final state when the task has ended; never rejected. */
  readonly done: Promise<TaskState>;
  /** Why the server did not take the task; null when it did. Nothing was stored then. */
  rejection: ApiError | null = null;

  constructor(
    readonly taskId: string,
    private readonly ports: FollowerPorts,
  ) {
    this.#state = initialState(taskId);
    this.done = new Promise((resolve) => {
      this.#resolveDone = resolve;
    });
  }

  get state(): TaskState {
    return this.#state;
  }

  get sync(): Sync {
    if (this.#failures > 1) return "failing";
    if (this.#resuming) return "resuming";
    return this.ports.isLive() && !this.#deaf ? "live" : "polling";
  }

  get active(): boolean {
    return !this.#stopped && !isEnded(this.#state);
  }

  /** The server has the task: watch it from now on. `resume` reads what was missed first. */
  begin(resume = false): void {
    if (this.#begun || !this.active) return;
    this.#begun = true;
    if (resume) this.resume();
    else this.#arm();
  }

  /** Reads everything after the last event seen, now: after a reload, a reconnect, a cancel. */
  resume(): void {
    if (!this.#begun || !this.active) return;
    this.#resuming = true;
    this.#failures = 0;
    this.ports.changed(this);
    void this.#catchUp();
  }

  /** The live connection came or went. */
  connectionChanged(): void {
    if (this.ports.isLive()) this.resume();
    else this.#arm();
  }

  /** One live event, as it came. */
  push(raw: unknown): void {
    const event = parseEvent(raw);
    if (!event || !this.active) return;
    if (event.seq > this.#state.seq) this.#deaf = false;
    this.#update(reduce(this.#state, event));
    if (!this.#fetching) this.#idle = 0;
    this.#arm();
  }

  /** The server refused the task. */
  reject(error: ApiError): void {
    this.rejection = error;
    this.#update(failLocally(this.#state, refusal(error)));
  }

  /** Ends the state here, whatever becomes of the task. */
  giveUp(): void {
    this.#update(failLocally(this.#state, givenUp()));
  }

  /** Stops watching; the task itself goes on. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #update(next: TaskState): void {
    if (next === this.#state) return;
    this.#state = next;
    if (isEnded(next)) {
      clearTimeout(this.#timer);
      this.#resuming = false;
      this.#resolveDone(next);
    }
    this.ports.changed(this);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (!this.#begun || !this.active || this.#fetching) return;
    const delay = nextDelay({
      live: this.ports.isLive(),
      gap: hasGap(this.#state),
      deaf: this.#deaf,
      silent: this.#state.seq === 0,
      idle: this.#idle,
      failures: this.#failures,
      retryAfterMs: this.#retryAfterMs,
    });
    this.#timer = setTimeout(() => void this.#catchUp(), delay);
  }

  async #catchUp(): Promise<void> {
    if (this.#fetching) {
      this.#again = true; // what is under way may have been answered before the change
      return;
    }
    clearTimeout(this.#timer);
    this.#fetching = true;
    try {
      do {
        this.#again = false;
        await this.#readAll();
      } while (this.#again && this.active);
      this.#failures = 0;
      this.#resuming = false;
    } catch (error) {
      await this.#failed(error);
    }
    this.#fetching = false;
    if (!this.active) return;
    this.ports.changed(this);
    this.#arm();
  }

  async #readAll(): Promise<void> {
    const before = this.#state.seq;
    const wasLive = this.ports.isLive() && !this.#resuming;
    let page = await this.#readPage();
    while (this.active && this.#hasMore(page)) page = await this.#readPage();
    if (!this.active) return;
    const found = this.#state.seq > before;
    this.#idle = found ? 0 : this.#idle + 1;
    this.#deaf = wasLive && (found || this.#deaf);
    if (page.complete && this.#state.seq >= page.last_seq) await this.#readTask();
    else if (hasGap(this.#state) && this.#idle >= GIVE_UP_GAP) await this.#readTask();
  }

  /** A page may be cut by its size; one that brought nothing is surely the last. */
  #hasMore(page: EventPage & { progress: boolean }): boolean {
    if (!page.progress || page.complete) return false;
    const behind = this.#resuming || hasGap(this.#state);
    return behind || page.events.length >= FULL_PAGE || this.#state.seq < page.last_seq;
  }

  async #readPage(): Promise<EventPage & { progress: boolean }> {
    const before = this.#state.seq;
    const page = await this.ports.fetchEvents(this.taskId, before);
    if (this.#stopped) return { ...page, progress: false };
    let next = this.#state;
    for (const raw of page.events) {
      const event = parseEvent(raw);
      if (event) next = reduce(next, event);
    }
    this.#update(next);
    return { ...page, progress: this.#state.seq > before };
  }

  /** The log cannot tell the end (any more): the task itself can. */
  async #readTask(): Promise<void> {
    const task = await this.ports.fetchTask(this.taskId);
    if (this.active) this.#update(foldTask(settleGap(this.#state), task));
  }

  async #failed(cause: unknown): Promise<void> {
    const error = cause instanceof ApiError ? cause : new ApiError({ status: 0, message: String(cause) });
    if (error.status === 404 && this.active) return this.#update(failLocally(this.#state, forgotten()));
    if (!error.retryable && error.status < 500) return this.#update(failLocally(this.#state, refusal(error)));
    this.#failures += 1;
    this.#retryAfterMs = error.retryAfterMs;
  }
}
