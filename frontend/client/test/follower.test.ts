/** The client against a real HTTP and Socket.IO server: live, cut, deaf, trimmed, refused, forgotten. */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { AssistantClient, type ConnectionState, NoTransport, type TaskFollower } from "../src/index.ts";
import { answerScript, FakeHost, SITE } from "./host.ts";

const PIECES = Array.from({ length: 60 }, (_, index) => `word${index} `);
const WHOLE = PIECES.join("");
const QUESTION = { messages: [{ role: "user" as const, content: "hello" }] };

let host: FakeHost;
const open: AssistantClient[] = [];

before(async () => {
  host = await FakeHost.start();
});

afterEach(() => {
  for (const client of open.splice(0)) client.close();
  Object.assign(host, { deliver: true, refusal: null });
});

after(() => host.stop());

async function connected(offline = false): Promise<AssistantClient> {
  const transport = offline ? new NoTransport() : undefined;
  const auth = { kind: "token" as const, key: "k", secret: "s" };
  const client = new AssistantClient({ baseUrl: host.url, site: SITE, auth, transport });
  open.push(client);
  client.connect();
  if (!offline) await reached(client, "live");
  return client;
}

function reached(client: AssistantClient, wanted: ConnectionState): Promise<void> {
  return new Promise((resolve) => {
    client.onConnection((state) => state === wanted && resolve());
  });
}

/** Waits for the end and checks that nothing was lost or doubled. */
async function whole(follower: TaskFollower): Promise<void> {
  const state = await follower.done;
  assert.equal(state.status, "completed");
  assert.equal(state.text, WHOLE);
  assert.equal(state.reasoning, "Let me think.");
  assert.equal(state.mismatch, false);
}

test("live events alone bring the answer", async () => {
  host.script = answerScript(PIECES, 2);
  const client = await connected();
  host.calls.length = 0;
  await whole(client.start(QUESTION));
  assert.deepEqual(
    host.calls.filter((it) => it.startsWith("get_")),
    [],
  );
});

test("without a socket the answer comes by asking", async () => {
  host.script = answerScript(PIECES, 2);
  await whole((await connected(true)).start(QUESTION));
});

test("a cut in mid-stream is made good", async () => {
  host.script = answerScript(PIECES, 12);
  const client = await connected();
  const follower = client.start(QUESTION);
  const seen: ConnectionState[] = [];
  client.onConnection((state) => seen.push(state));
  for (const _ of [1, 2]) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    host.cutSockets();
  }
  await whole(follower);
  assert.ok(
    seen.some((it) => it !== "live"),
    `states seen: ${seen.join(" ")}`,
  );
});

test("a socket that is up but delivers nothing is found out", async () => {
  host.script = answerScript(PIECES, 5);
  const client = await connected();
  host.deliver = false;
  await whole(client.start(QUESTION));
});

test("a second client that comes late reads what it missed and goes on live", async () => {
  host.script = answerScript(PIECES, 10);
  const first = (await connected()).start(QUESTION);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const second = (await connected()).resume(first.taskId);
  await Promise.all([whole(first), whole(second)]);
});

test("a trimmed log is resumed from its snapshot", async () => {
  host.script = answerScript(PIECES, 8);
  const first = (await connected()).start(QUESTION);
  await new Promise((resolve) => setTimeout(resolve, 250));
  host.trim(first.taskId, host.tasks.get(first.taskId)?.seq ?? 0);
  await whole((await connected(true)).resume(first.taskId));
});

test("cancel ends the task with what had arrived", async () => {
  host.script = answerScript(PIECES, 20);
  const client = await connected();
  const follower = client.start(QUESTION);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await client.cancel(follower.taskId);
  const state = await follower.done;
  assert.equal(state.status, "cancelled");
  assert.ok(state.text.length > 0 && state.text.length < WHOLE.length);
});

test("a cancel right after the start waits until the server knows the task", async () => {
  host.script = answerScript(PIECES, 20);
  const client = await connected();
  const follower = client.start(QUESTION);
  await client.cancel(follower.taskId);
  assert.equal((await follower.done).status, "cancelled");
});

test("an answer can be stopped while the server is gone, which hears of it when it is back", async () => {
  host.script = answerScript(PIECES, 20);
  const client = await connected();
  const follower = client.start(QUESTION);
  await new Promise((resolve) => setTimeout(resolve, 300));
  host.deliver = false;
  host.refusal = { status: 502, body: "the proxy finds nobody" };
  await client.stop(follower.taskId);
  const state = await follower.done;
  assert.deepEqual([state.status, state.error?.code], ["failed", "offline"]);
  assert.ok(WHOLE.startsWith(state.text) && state.text);
  assert.equal(client.connection, "offline");
  host.emit(follower.taskId, { type: "text", text: "late ", partial: true });
  const settled = new Promise((resolve) => client.onSettled(resolve));
  host.refusal = null;
  assert.equal(await settled, follower.taskId);
  assert.equal(host.tasks.get(follower.taskId)?.ended, true);
  assert.equal(client.connection, "live");
});

test("a refusal is the task's error, in the server's words", async () => {
  const client = await connected();
  const message = JSON.stringify({ message: "At most <b>2</b> chats at once. Wait until one has ended." });
  const body = { exc_type: "TooManyRequestsError", _server_messages: JSON.stringify([message]) };
  host.refusal = { status: 429, body };
  const follower = client.start(QUESTION);
  const state = await follower.done;
  assert.equal(state.error?.message, "At most 2 chats at once. Wait until one has ended.");
  assert.equal(state.error?.code, "limit_reached");
  assert.equal(follower.rejection?.status, 429);
});

test("a task that the server has forgotten ends with an error, not in waiting", async () => {
  const state = await (await connected()).resume(crypto.randomUUID()).done;
  assert.equal(state.error?.code, "task_expired");
});

test("many tasks at once do not mix", async () => {
  host.script = answerScript(PIECES, 3);
  const client = await connected();
  await Promise.all(Array.from({ length: 20 }, () => whole(client.start(QUESTION))));
});
