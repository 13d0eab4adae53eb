/**
 * A host for the tests: real HTTP and real Socket.IO on a free port, answering as the wire contract says.
 * What it streams is written by the test; its socket can be cut and its log trimmed.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Server as SocketServer } from "socket.io";

export const SITE = "assistant.localhost";

/** One step of a script: wait, then emit. */
export interface Step {
  waitMs?: number;
  event: Record<string, unknown> & { type: string };
}

interface FakeTask {
  id: string;
  log: Record<string, unknown>[];
  seq: number;
  begun: number;
  text: string;
  reasoning: string;
  trimmedTo: number;
  ended: boolean;
  conversation: string | null;
}

export interface Refusal {
  status: number;
  body: unknown;
}

export class FakeHost {
  readonly calls: string[] = [];
  readonly tasks = new Map<string, FakeTask>();
  script: Step[] = [];
  /** Set to make every call of the API fail. */
  refusal: Refusal | null = null;
  /** False keeps events from the sockets although they are connected. */
  deliver = true;
  readonly #http: Server;
  readonly #sockets: SocketServer;

  private constructor() {
    this.#http = createServer((request, response) => void this.#answer(request, response));
    this.#sockets = new SocketServer(this.#http, { pingInterval: 300, pingTimeout: 300 });
    this.#sockets.of(`/${SITE}`);
  }

  static async start(): Promise<FakeHost> {
    const host = new FakeHost();
    await new Promise<void>((resolve) => host.#http.listen(0, "127.0.0.1", resolve));
    return host;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  get socketCount(): number {
    return this.#sockets.of(`/${SITE}`).sockets.size;
  }

  async stop(): Promise<void> {
    this.#http.closeAllConnections();
    await this.#sockets.close();
  }

  /** Cuts every connection of the sockets; they come back by themselves. */
  cutSockets(): void {
    for (const socket of this.#sockets.of(`/${SITE}`).sockets.values()) socket.conn.close();
  }

  /** Emits one event of a task: numbers, logs and publishes it. */
  emit(taskId: string, event: Step["event"]): void {
    const task = this.tasks.get(taskId);
    if (!task || task.ended) return;
    task.seq += 1;
    const now = Date.now();
    const full = {
      ...{ v: 1, gen: 1, task_id: taskId, text: "", partial: false, conversation: task.conversation },
      ...{ seq: task.seq, ts: now, elapsed_ms: now - task.begun },
      ...event,
    };
    if (event.type === "text") task.text += full.text;
    if (event.type === "reasoning") task.reasoning += full.text;
    task.ended = ["completion", "error", "cancelled"].includes(event.type);
    task.log.push(full);
    if (this.deliver) this.#sockets.of(`/${SITE}`).emit("ai_progress", full);
  }

  /** A task that a program of the server opens, with its first event. */
  open(id: string, subject: string): void {
    const fresh = { seq: 0, text: "", reasoning: "", trimmedTo: 0, ended: false, conversation: null };
    this.tasks.set(id, { id, log: [], begun: Date.now(), ...fresh });
    this.emit(id, { type: "start", mode: "agent", model: "label-receipt", subject });
  }

  /** Forgets the events up to `seq`; a reader gets a snapshot in their place. */
  trim(taskId: string, seq: number): void {
    const task = this.tasks.get(taskId);
    if (task) task.trimmedTo = seq;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://host");
    const method = url.pathname.replace("/api/method/ai_assistant.api.", "");
    this.calls.push(method);
    const args = { ...Object.fromEntries(url.searchParams), ...(await readJson(request)) };
    const { status, body } = this.refusal ?? this.#dispatch(method, args);
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(body));
  }

  #dispatch(method: string, args: Record<string, unknown>): Refusal {
    const id = String(args.task_id ?? "");
    if (method === "chat_completion") return ok(this.#startTask(id, args));
    const task = this.tasks.get(id);
    if (!task) return { status: 404, body: { exc_type: "DoesNotExistError" } };
    if (method === "cancel") this.emit(id, { type: "cancelled", by: "user", text: task.text });
    if (method === "get_events") return ok(page(task, Number(args.after_seq ?? 0)));
    return ok(asTask(task));
  }

  #startTask(id: string, args: Record<string, unknown>): unknown {
    if (!this.tasks.has(id)) {
      const conversation = args.conversation === "new" ? "conv-1" : ((args.conversation as string) ?? null);
      const fresh = { seq: 0, text: "", reasoning: "", trimmedTo: 0, ended: false, conversation };
      this.tasks.set(id, { id, log: [], begun: Date.now(), ...fresh });
      void this.#play(id, this.script);
    }
    return { task_id: id, status: "queued" };
  }

  async #play(id: string, script: Step[]): Promise<void> {
    this.emit(id, { type: "start", mode: "ask", model: "demo" });
    for (const step of script) {
      if (step.waitMs) await new Promise((resolve) => setTimeout(resolve, step.waitMs));
      this.emit(id, step.event);
    }
  }
}

/** Reasoning and a text in pieces, then the end. */
export function answerScript(pieces: string[], waitMs = 5): Step[] {
  const reasoning = ["Let me ", "think."].map((text) => ({
    waitMs,
    event: { type: "reasoning", text, partial: true },
  }));
  const close = { event: { type: "reasoning", text: "", partial: false, reasoning_ms: 2 * waitMs } };
  const texts = pieces.map((text) => ({ waitMs, event: { type: "text", text, partial: true } }));
  const usage = { prompt_tokens: 3, completion_tokens: pieces.length, total_tokens: 3 + pieces.length };
  const end = { type: "completion", text: pieces.join(""), finish_reason: "stop", usage };
  return [...reasoning, close, ...texts, { event: end }];
}

function ok(message: unknown): Refusal {
  return { status: 200, body: { message } };
}

function page(task: FakeTask, after: number): unknown {
  const gap = after < task.trimmedTo;
  const rest = task.log.slice(Math.max(after, task.trimmedTo), Math.max(after, task.trimmedTo) + 20);
  const upTo = task.log.slice(0, task.trimmedTo);
  const joined = (type: string) =>
    upTo
      .filter((it) => it.type === type)
      .map((it) => it.text)
      .join("");
  const snapshot = {
    ...{ v: 1, gen: 1, task_id: task.id, type: "snapshot", partial: false, seq: task.trimmedTo },
    ...{ text: joined("text"), reasoning: joined("reasoning"), tool_calls: [] },
  };
  const events = gap ? [snapshot, ...rest] : rest;
  const last = rest.length ? Number(rest.at(-1)?.seq) : Math.max(after, task.trimmedTo);
  return { events, last_seq: last, complete: task.ended && last >= task.seq, gap };
}

function asTask(task: FakeTask): unknown {
  const message = { role: "assistant", content: task.text, reasoning: task.reasoning, tool_calls: [] };
  return { task_id: task.id, status: task.ended ? "completed" : "running", message };
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}
