/** Tasks that the server's own programs open, found by their subject. */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { AssistantClient, reduceAll, type TaskState } from "../src/index.ts";
import { initialState } from "../src/state.ts";
import { FakeHost, SITE } from "./host.ts";

let host: FakeHost;
const open: AssistantClient[] = [];

before(async () => {
  host = await FakeHost.start();
});

afterEach(() => {
  for (const client of open.splice(0)) client.close();
  host.deliver = true;
});

after(() => host.stop());

async function connected(): Promise<AssistantClient> {
  const client = new AssistantClient({
    baseUrl: host.url,
    site: SITE,
    auth: { kind: "token", key: "k", secret: "s" },
  });
  open.push(client);
  client.connect();
  await new Promise<void>((resolve) => {
    client.onConnection((state) => state === "live" && resolve());
  });
  return client;
}

function work(id: string, subject: string): void {
  const tool = { tool_call_id: "c1", name: "ocr", subject };
  host.emit(id, { type: "tool_started", ...tool });
  host.emit(id, { type: "tool_progress", ...tool, progress: 50, message: "page 1 of 2" });
  host.emit(id, { type: "tool_completed", ...tool, duration_ms: 7 });
  host.emit(id, { type: "data", name: "total", data: { value: "41.20", confidence: 0.93 }, subject });
  host.emit(id, { type: "completion", text: "", finish_reason: "stop", result: { total: "41.20" }, subject });
}

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!holds()) {
    assert.ok(Date.now() < end, "it did not come to that in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("a subscription hears of the tasks about its subject, and of no others", async () => {
  const client = await connected();
  const states: TaskState[] = [];
  const all: TaskState[] = [];
  client.subscribe("Receipt/R-1", (state) => states.push(state));
  client.subscribe(
    (subject) => subject.startsWith("Receipt/"),
    (state) => all.push(state),
  );
  host.open("t1", "Receipt/R-1");
  host.open("t2", "Receipt/R-2");
  host.open("t3", "Invoice/I-1");
  for (const [id, subject] of [
    ["t2", "Receipt/R-2"],
    ["t3", "Invoice/I-1"],
    ["t1", "Receipt/R-1"],
  ] as const)
    work(id, subject);
  await until(() => states.at(-1)?.status === "completed" && all.some((it) => it.taskId === "t2"));
  const last = states.at(-1) as TaskState;
  assert.deepEqual([...new Set(states.map((it) => it.taskId))], ["t1"]);
  assert.deepEqual(new Set(all.map((it) => it.taskId)), new Set(["t1", "t2"]));
  assert.equal(last.subject, "Receipt/R-1");
  assert.deepEqual(last.result, { total: "41.20" });
  assert.deepEqual(
    last.toolCalls.map((it) => [it.name, it.run, it.progress, it.durationMs]),
    [["ocr", "completed", 50, 7]],
  );
  assert.deepEqual(
    last.data.map((it) => [it.name, it.data]),
    [["total", { value: "41.20", confidence: 0.93 }]],
  );
});

test("a task that began before is read from its beginning", async () => {
  host.deliver = false;
  host.open("early", "Receipt/R-9");
  host.emit("early", { type: "data", name: "merchant", data: { value: "Bakery" }, subject: "Receipt/R-9" });
  host.deliver = true;
  const client = await connected();
  let last: TaskState | undefined;
  client.subscribe("Receipt/R-9", (state) => {
    last = state;
  });
  work("early", "Receipt/R-9");
  await until(() => last?.status === "completed");
  assert.deepEqual(
    last?.data.map((it) => it.name),
    ["merchant", "total"],
  );
});

test("who has unsubscribed hears nothing more, and an ended task is not begun anew", async () => {
  const client = await connected();
  const states: TaskState[] = [];
  const stop = client.subscribe("Receipt/R-5", (state) => states.push(state));
  host.open("once", "Receipt/R-5");
  work("once", "Receipt/R-5");
  await until(() => states.at(-1)?.status === "completed");
  const heard = states.length;
  const again = host.tasks.get("once");
  if (again) again.ended = false;
  host.emit("once", { type: "data", name: "late", data: 1, subject: "Receipt/R-5" });
  stop();
  host.open("next", "Receipt/R-5");
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(states.length, heard);
});

test("a snapshot brings values and tools back", () => {
  const snapshot = {
    ...{ v: 1, gen: 1, task_id: "t", type: "snapshot", partial: false, seq: 7, subject: "Receipt/R-1" },
    ...{ text: "", reasoning: "", tool_calls: [], data: [{ name: "total", data: { value: "41.20" } }] },
    tools: [{ type: "tool_progress", tool_call_id: "c1", name: "ocr", progress: 40 }],
  };
  const state = reduceAll(initialState("t"), [snapshot]);
  assert.deepEqual(state.data, [{ name: "total", data: { value: "41.20" }, seq: 7 }]);
  assert.deepEqual(
    state.toolCalls.map((it) => [it.id, it.run, it.progress]),
    [["c1", "started", 40]],
  );
  assert.equal(state.subject, "Receipt/R-1");
});
