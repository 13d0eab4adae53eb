/** The client: one connection, any number of tasks. */
import { AbandonedTasks } from "./abandoned.ts";
import { Api, type ChatRequest, type TaskHandle } from "./api.ts";
import { ServerClock } from "./clock.ts";
import { ApiError, errorFromNetwork } from "./errors.ts";
import { TaskFollower } from "./follower.ts";
import { Http, type HttpOptions } from "./http.ts";
import { newTaskId } from "./ids.ts";
import { SocketIoTransport } from "./socketio.ts";
import type { TaskState } from "./state.ts";
import { type SubjectFilter, Subjects } from "./subjects.ts";
import { NoTransport, type Transport, type TransportState } from "./transport.ts";

/**
 * `connecting`: the first attempt is under way. `live`: events arrive as they happen. `resuming`: what was
 * missed is being read. `polling`: no live connection, events are asked for. `offline`: nothing answers.
 */
export type ConnectionState = "connecting" | "live" | "resuming" | "polling" | "offline";

export interface ClientOptions extends HttpOptions {
  /** Where live events come from; Socket.IO at `baseUrl` if not said. */
  transport?: Transport;
  /** Origin of the realtime server where it is not that of `baseUrl`. */
  socketUrl?: string;
}

/** A start that got no answer is sent again with the same task id, which is safe, after these pauses. */
const START_RETRIES_MS = [300, 1_000, 2_500];
/** So long the first attempt to connect is not called a failure. */
const CONNECT_GRACE_MS = 2_500;

/** So long a stop waits for the server. */
const STOP_PATIENCE_MS = 5_000;

export class AssistantClient {
  readonly api: Api;
  readonly clock = new ServerClock();
  readonly #transport: Transport;
  readonly #followers = new Map<string, TaskFollower>();
  /** Requests under way; each is fulfilled when the server has taken or refused the task. */
  readonly #starting = new Map<string, Promise<void>>();
  readonly #taskListeners = new Set<(state: TaskState) => void>();
  readonly #subjects = new Subjects();
  readonly #settledListeners = new Set<(taskId: string) => void>();
  readonly #abandoned = new AbandonedTasks({
    cancel: async (taskId) => {
      await this.#starting.get(taskId);
      return this.api.cancel(taskId);
    },
    changed: () => this.#refreshConnection(),
    settled: (taskId) => this.#onSettled(taskId),
  });
  readonly #connectionListeners = new Set<(state: ConnectionState) => void>();
  #transportState: TransportState = "connecting";
  #graceOver = false;
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
  #connection: ConnectionState = "connecting";

  constructor(options: ClientOptions = {}) {
    this.api = new Api(new Http({ ...options, clock: this.clock }));
    this.#transport = options.transport ?? socketTransport(options);
  }

  /** Opens the live connection. Chat works without it too, by asking. */
  connect(): void {
    this.#graceTimer = setTimeout(() => {
      this.#graceOver = true;
      this.#refreshConnection();
    }, CONNECT_GRACE_MS);
    this.#transport.open({
      onEvent: (raw) => this.#onEvent(raw),
      onState: (state) => this.#onTransport(state),
    });
  }

  /** Closes the connection and stops watching; tasks go on at the server. */
  close(): void {
    clearTimeout(this.#graceTimer);
    this.#transport.close();
    for (const follower of this.#followers.values()) follower.stop();
    this.#followers.clear();
    this.#abandoned.stop();
  }

  get connection(): ConnectionState {
    return this.#connection;
  }

  /** Calls back on each change of the connection, and once now. Returns the way to stop that. */
  onConnection(listener: (state: ConnectionState) => void): () => void {
    this.#connectionListeners.add(listener);
    listener(this.#connection);
    return () => this.#connectionListeners.delete(listener);
  }

  /** Calls back on each change of any followed task. */
  onTask(listener: (state: TaskState) => void): () => void {
    this.#taskListeners.add(listener);
    return () => this.#taskListeners.delete(listener);
  }

  /**
   * Follows every task about a subject, whoever starts it: a program of the server, another window. Calls back on
   * each change of one. A task that began before is followed from its next event on, with all that came before.
   * Returns the way to stop that.
   */
  subscribe(subject: SubjectFilter, listener: (state: TaskState) => void): () => void {
    return this.#subjects.add(subject, listener);
  }

  /** Calls back when the server, reached again, has stopped or forgotten a task that `abandon` gave up. */
  onSettled(listener: (taskId: string) => void): () => void {
    this.#settledListeners.add(listener);
    return () => this.#settledListeners.delete(listener);
  }

  /** Sends a request and follows its task. A refusal ends the task's state as `failed`. */
  start(request: ChatRequest): TaskFollower {
    const taskId = request.task_id ?? newTaskId();
    const follower = this.#follow(taskId);
    const accepted = this.#send({ ...request, task_id: taskId }).then(
      () => follower.begin(),
      (error: unknown) => follower.reject(asApiError(error)),
    );
    this.#starting.set(taskId, accepted);
    void accepted.then(() => this.#starting.delete(taskId));
    return follower;
  }

  /** Follows a task that already runs (or has ended), from its first event. */
  resume(taskId: string): TaskFollower {
    const follower = this.#follow(taskId);
    follower.begin(true);
    return follower;
  }

  /**
   * Cancels a task at the server, and with it the provider's stream.
   * @throws ApiError when the server cannot be told.
   */
  async cancel(taskId: string): Promise<void> {
    await this.#starting.get(taskId); // before that the server does not know it
    if (this.#followers.get(taskId)?.active === false) return;
    await this.#again(() => this.api.cancel(taskId));
    this.#followers.get(taskId)?.resume();
  }

  /**
   * Cancels a task; where the server cannot be reached, ends it here at once and cancels it there later.
   * @throws ApiError when the server refuses.
   */
  async stop(taskId: string): Promise<void> {
    const follower = this.#followers.get(taskId);
    try {
      if (follower?.sync !== "failing") return await within(STOP_PATIENCE_MS, this.cancel(taskId));
    } catch (error) {
      if (!(error instanceof ApiError) || !error.unreachable) throw error;
    }
    if (!follower?.active) return;
    follower.giveUp();
    this.#abandoned.add(taskId);
  }

  /** Milliseconds since the server accepted the task, by the server's own measure. */
  elapsedMs(state: TaskState): number {
    if (state.acceptedAt === null) return state.elapsedMs;
    return Math.max(state.elapsedMs, this.clock.serverNow() - state.acceptedAt);
  }

  #follow(taskId: string): TaskFollower {
    const known = this.#followers.get(taskId);
    if (known) return known;
    const follower = new TaskFollower(taskId, {
      fetchEvents: (id, after) => this.api.getEvents(id, after),
      fetchTask: (id) => this.api.getTask(id),
      isLive: () => this.#transportState === "up",
      changed: (it) => this.#onFollower(it),
    });
    this.#followers.set(taskId, follower);
    return follower;
  }

  #send(request: ChatRequest): Promise<TaskHandle> {
    return this.#again(() => this.api.startChat(request));
  }

  /** Repeats a call that may safely be repeated while the server cannot be reached. */
  async #again<T>(call: () => Promise<T>): Promise<T> {
    for (const pause of START_RETRIES_MS) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof ApiError) || !error.unreachable) throw error;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
    return call();
  }

  #onEvent(raw: unknown): void {
    const event = raw as { task_id?: unknown; ts?: unknown; subject?: unknown; seq?: unknown } | null;
    if (typeof event?.ts === "number") this.clock.observeEvent(event.ts);
    if (typeof event?.task_id !== "string") return;
    const taskId = event.task_id;
    const known = this.#followers.get(taskId);
    if (known) return known.push(raw);
    if (!this.#subjects.discovers(taskId, event.subject)) return;
    const follower = this.#follow(taskId);
    follower.begin(event.seq !== 1);
    follower.push(raw);
  }

  #onTransport(state: TransportState): void {
    if (state === this.#transportState) return;
    this.#transportState = state;
    for (const follower of this.#followers.values()) follower.connectionChanged();
    if (state === "up") this.#abandoned.hurry();
    this.#refreshConnection();
  }

  #onFollower(follower: TaskFollower): void {
    for (const listener of this.#taskListeners) listener(follower.state);
    this.#subjects.tell(follower.state);
    if (!follower.active) this.#followers.delete(follower.taskId);
    this.#refreshConnection();
  }

  #onSettled(taskId: string): void {
    for (const listener of this.#settledListeners) listener(taskId);
  }

  #refreshConnection(): void {
    const next = this.#judge();
    if (next === this.#connection) return;
    this.#connection = next;
    for (const listener of this.#connectionListeners) listener(next);
  }

  #judge(): ConnectionState {
    const syncs = new Set([...this.#followers.values()].map((it) => it.sync));
    if (syncs.has("failing") || this.#abandoned.waiting) return "offline";
    const up = this.#transportState === "up";
    if (!up && !this.#graceOver) return "connecting";
    if (syncs.has("resuming")) return "resuming";
    if (!up && globalThis.navigator?.onLine === false) return "offline";
    return up && !syncs.has("polling") ? "live" : "polling";
  }
}

function socketTransport(options: ClientOptions): Transport {
  if (!options.site) return new NoTransport();
  const url = options.socketUrl ?? options.baseUrl;
  return new SocketIoTransport({ url, site: options.site, auth: options.auth });
}

/** What `work` brings; ApiError of status 0 when that takes longer than `ms` milliseconds. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(errorFromNetwork("no answer in time")), ms);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError({ status: 0, message: error instanceof Error ? error.message : String(error) });
}
