/** One open conversation: what is shown, what runs, and what a person can do. Free of any UI. */
import type { ChatRequest, Conversation, Mode } from "./api.ts";
import type { AssistantClient } from "./client.ts";
import { ApiError } from "./errors.ts";
import type { TaskFollower } from "./follower.ts";
import { newTaskId } from "./ids.ts";
import { type KeyValue, PendingStore, type PendingTask } from "./pending.ts";
import { isEnded, type TaskState } from "./state.ts";
import { emptyAnswer, isOpen, type Turn, turnFromStored, turnFromTask, userTurn } from "./turn.ts";

export interface ChatSnapshot {
  /** Null until the first answer of a new chat has made it known. */
  conversation: string | null;
  title: string;
  turns: readonly Turn[];
  loading: boolean;
  /** Why the conversation cannot be shown. */
  problem: string | null;
  /** The task that runs, for its timer. */
  running: TaskState | null;
}

export interface ChatOptions {
  /** Remembers a running question across a reload of this tab. */
  storage?: KeyValue | null;
}

export interface SendOptions {
  model?: string | null;
  mode?: Mode;
}

const SHOWN: ReadonlySet<string> = new Set(["user", "assistant"]);

const EMPTY: ChatSnapshot = {
  conversation: null,
  title: "",
  turns: [],
  loading: false,
  problem: null,
  running: null,
};

export class ChatSession {
  #snapshot: ChatSnapshot = EMPTY;
  #follower: TaskFollower | null = null;
  /** One more with each conversation shown, so that a late answer for another one is dropped. */
  #epoch = 0;
  #requests = new Map<string, ChatRequest>();
  readonly #listeners = new Set<(snapshot: ChatSnapshot) => void>();
  readonly #pending: PendingStore;
  readonly #unsubscribe: () => void;

  constructor(
    readonly client: AssistantClient,
    options: ChatOptions = {},
  ) {
    this.#pending = new PendingStore(options.storage ?? null);
    const undo = [
      client.onTask((state) => this.#onTask(state)),
      client.onSettled((taskId) => void this.#readStored(taskId)),
    ];
    this.#unsubscribe = () => {
      for (const it of undo) it();
    };
  }

  get snapshot(): ChatSnapshot {
    return this.#snapshot;
  }

  subscribe(listener: (snapshot: ChatSnapshot) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#snapshot);
    return () => this.#listeners.delete(listener);
  }

  dispose(): void {
    this.#unsubscribe();
    this.#listeners.clear();
  }

  /** Shows an empty new chat; a running task of the old one goes on at the server. */
  clear(): void {
    this.#epoch += 1;
    this.#follower = null;
    this.#set(EMPTY);
  }

  /** Picks up what this tab was doing before a reload, where it was a chat without a name yet. */
  restore(): void {
    const pending = this.#pending.read();
    if (pending && !pending.conversation) this.#showPending(pending);
  }

  /** Loads a conversation and goes on with its running answer, if it has one. */
  async open(conversation: string): Promise<void> {
    if (conversation === this.#snapshot.conversation && !this.#snapshot.problem) return;
    this.clear();
    const epoch = this.#epoch;
    this.#set({ ...EMPTY, conversation, loading: true });
    try {
      const stored = await this.client.api.getConversation(conversation);
      if (epoch !== this.#epoch) return;
      const turns = stored.messages.map(turnFromStored).filter((it) => SHOWN.has(it.role));
      this.#set({ ...EMPTY, conversation, title: stored.title, turns });
      this.#resumeOpenTurn();
    } catch (error) {
      if (epoch === this.#epoch) this.#openFailed(conversation, error);
    }
  }

  /** Asks. Returns false when there is nothing to send or an answer is still running. */
  send(text: string, options: SendOptions = {}): boolean {
    const content = text.trim();
    if (!content || this.#follower) return false;
    const taskId = newTaskId();
    const { conversation } = this.#snapshot;
    this.#begin(userTurn(`user-${taskId}`, content), {
      task_id: taskId,
      messages: [{ role: "user", content }],
      conversation: conversation ?? "new",
      model: options.model ?? undefined,
      mode: options.mode,
    });
    this.#pending.write({ taskId, conversation, text: content });
    return true;
  }

  /** Stops the running answer, here at least when the server cannot be reached; what has arrived stays. */
  async stop(): Promise<void> {
    const follower = this.#follower;
    if (follower) await this.client.stop(follower.taskId);
  }

  /** Asks again for an answer that failed, was cancelled or was interrupted. */
  retry(key: string, options: SendOptions = {}): boolean {
    const { turns } = this.#snapshot;
    const at = turns.findIndex((it) => it.key === key);
    const question = turns.slice(0, Math.max(at, 0)).findLast((it) => it.role === "user");
    if (!question || this.#follower) return false;
    const refused = this.#requests.has(key);
    // A refused question was never stored: it and its error give way to the new attempt.
    if (refused) this.#setTurns(turns.filter((it) => it.key !== key && it.key !== question.key));
    this.#requests.delete(key);
    return this.send(question.content, options);
  }

  #begin(question: Turn, request: ChatRequest): void {
    const taskId = request.task_id ?? "";
    this.#setTurns([...this.#snapshot.turns, question, emptyAnswer(taskId)]);
    const follower = this.client.start(request);
    this.#watch(follower);
    void follower.done.then(() => {
      if (follower.rejection) this.#requests.set(taskId, request);
    });
  }

  #watch(follower: TaskFollower): void {
    this.#follower = follower;
    this.#set({ ...this.#snapshot, running: follower.state });
    this.#onTask(follower.state);
  }

  #resumeOpenTurn(): void {
    const pending = this.#pending.read();
    const { turns, conversation } = this.#snapshot;
    const open = turns.findLast((it) => it.role === "assistant" && isOpen(it) && it.taskId);
    if (open?.taskId) return this.#watch(this.client.resume(open.taskId));
    if (!pending || pending.conversation !== conversation) return;
    if (turns.some((it) => it.taskId === pending.taskId)) return this.#pending.clear(pending.taskId);
    this.#showPending(pending);
  }

  #showPending(pending: PendingTask): void {
    const { turns } = this.#snapshot;
    const question = userTurn(`user-${pending.taskId}`, pending.text);
    this.#setTurns([...turns, question, emptyAnswer(pending.taskId)]);
    this.#watch(this.client.resume(pending.taskId));
  }

  #openFailed(conversation: string, error: unknown): void {
    const pending = this.#pending.read();
    const missing = error instanceof ApiError && error.status === 404;
    if (missing && pending?.conversation === conversation) {
      this.#set({ ...EMPTY, conversation });
      return this.#showPending(pending);
    }
    const problem = error instanceof Error ? error.message : String(error);
    this.#set({ ...EMPTY, conversation, problem });
  }

  #onTask(state: TaskState): void {
    if (state.taskId !== this.#follower?.taskId) {
      if (isEnded(state)) this.#pending.clear(state.taskId);
      return;
    }
    const { turns, conversation } = this.#snapshot;
    if (!conversation && state.conversation) this.#rename(state);
    if (isEnded(state)) this.#finish(state);
    this.#set({
      ...this.#snapshot,
      conversation: conversation ?? state.conversation,
      turns: turns.map((it) => (isAnswer(it, state) ? turnFromTask(it, state) : it)),
      running: isEnded(state) ? null : state,
    });
    if (state.error?.code === "task_expired") void this.#readStored(state.taskId);
  }

  /** The server has lost sight of a task that was shown: what it has stored of the answer is the truth. */
  async #readStored(taskId: string): Promise<void> {
    const { conversation } = this.#snapshot;
    const epoch = this.#epoch;
    if (!conversation || !this.#snapshot.turns.some((it) => it.taskId === taskId)) return;
    try {
      const stored = await this.client.api.getConversation(conversation);
      if (epoch === this.#epoch) this.#setTurns(settled(this.#snapshot.turns, taskId, stored));
    } catch {
      return; // what had arrived stays on the page, marked as interrupted
    }
  }

  #rename(state: TaskState): void {
    const pending = this.#pending.read();
    if (pending?.taskId === state.taskId)
      this.#pending.write({ ...pending, conversation: state.conversation });
  }

  #finish(state: TaskState): void {
    this.#follower = null;
    this.#pending.clear(state.taskId);
  }

  #setTurns(turns: readonly Turn[]): void {
    this.#set({ ...this.#snapshot, turns });
  }

  #set(snapshot: ChatSnapshot): void {
    this.#snapshot = snapshot;
    for (const listener of this.#listeners) listener(snapshot);
  }
}

/** The turns with one answer as it is stored, where that is over. */
function settled(turns: readonly Turn[], taskId: string, stored: Conversation): readonly Turn[] {
  const isIt = (turn: Turn) => turn.role === "assistant" && turn.taskId === taskId;
  const found = stored.messages.map(turnFromStored).find(isIt);
  if (!found || isOpen(found)) return turns;
  return turns.map((it) => (isIt(it) ? withStored(it, found) : it));
}

/** A server that died may have stored nothing of what it had sent: that stays, as long as the page does. */
function withStored(shown: Turn, stored: Turn): Turn {
  if (stored.content || stored.reasoning || stored.status === "completed")
    return { ...stored, key: shown.key };
  return { ...shown, error: stored.error ?? shown.error };
}

function isAnswer(turn: Turn, state: TaskState): boolean {
  return turn.role === "assistant" && turn.taskId === state.taskId;
}
