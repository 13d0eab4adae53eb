/** The promises of the wire contract as properties of the reducer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ProgressEvent } from "../src/events.ts";
import { parseEvent, reduce, reduceAll, settleGap } from "../src/index.ts";
import { hasGap, initialState, isEnded, type TaskState } from "../src/state.ts";

const TASK = "11111111-1111-4111-8111-111111111111";

type Draft = Partial<ProgressEvent> & { type: string };

/** Numbers drafts as the server would. */
function log(drafts: Draft[]): ProgressEvent[] {
  return drafts.map((draft, index) => {
    const event = parseEvent({
      task_id: TASK,
      gen: 1,
      ts: 1000 + index,
      elapsed_ms: index,
      ...draft,
      seq: index + 1,
    });
    assert.ok(event);
    return event;
  });
}

/** Whatever a model may do: reasoning, text and tool calls in any chunks, with a restart before them. */
const drafts = fc
  .record({
    restarts: fc.integer({ min: 0, max: 2 }),
    reasoning: fc.array(fc.string({ unit: "grapheme", maxLength: 9 }), { maxLength: 8 }),
    text: fc.array(fc.string({ unit: "grapheme", maxLength: 9 }), { maxLength: 20 }),
    args: fc.array(fc.string({ maxLength: 5 }), { maxLength: 4 }),
    end: fc.constantFrom("completion", "error", "cancelled"),
  })
  .map(({ restarts, reasoning, text, args, end }): Draft[] => {
    const gen = restarts + 1;
    const early = Array.from({ length: restarts }, (_, at): Draft[] => [
      { type: "status", state: "connecting", gen: at + 1 },
      { type: "status", state: "restarting", gen: at + 2 },
    ]).flat();
    const whole = args.join("");
    const call: Draft = { type: "tool_call", tool_call_id: "c1", name: "find", gen };
    const ends: Record<string, Draft> = {
      completion: { type: "completion", text: text.join(""), finish_reason: "stop", gen },
      error: { type: "error", code: "stream_interrupted", message: "cut", text: text.join(""), gen },
      cancelled: { type: "cancelled", by: "user", text: text.join(""), gen },
    };
    return [
      { type: "start", model: "m", mode: "ask" },
      ...early,
      ...reasoning.map((piece): Draft => ({ type: "reasoning", text: piece, partial: true, gen })),
      ...(reasoning.length ? [{ type: "reasoning", text: "", partial: false, reasoning_ms: 7, gen }] : []),
      ...text.map((piece): Draft => ({ type: "text", text: piece, partial: true, gen })),
      { type: "a_type_of_tomorrow", gen },
      ...args.map((piece): Draft => ({ ...call, arguments: piece, partial: true })),
      ...(args.length ? [{ ...call, arguments: whole, partial: false }] : []),
      ends[end] ?? { type: "completion" },
    ];
  });

/** A delivery: every event some number of times, in any order. */
const delivery = drafts.chain((list) => {
  const events = log(list);
  const copies = fc.array(fc.integer({ min: 0, max: 3 }), {
    minLength: events.length,
    maxLength: events.length,
  });
  const received = copies.chain((counts) => {
    const pool = events.flatMap((event, index) => Array.from({ length: counts[index] ?? 0 }, () => event));
    return fc.shuffledSubarray(pool, { minLength: pool.length, maxLength: pool.length });
  });
  return fc.record({ events: fc.constant(events), received });
});

/** What a reader shows once it has everything; `pending` and `mismatch` must be clean. */
function shown(state: TaskState) {
  assert.equal(state.mismatch, false);
  assert.deepEqual(state.pending, []);
  return state;
}

test("any order, doubles and losses, then a replay: the state is that of the orderly reading", () => {
  fc.assert(
    fc.property(delivery, ({ events, received }) => {
      const orderly = shown(reduceAll(initialState(TASK), events));
      const live = reduceAll(initialState(TASK), received);
      const replay = events.filter((it) => it.seq > live.seq);
      assert.deepEqual(shown(reduceAll(live, replay)), orderly);
    }),
    { numRuns: 400 },
  );
});

test("the deltas, joined, equal the text of the end", () => {
  fc.assert(
    fc.property(drafts, (list) => {
      const events = log(list);
      const end = events.at(-1);
      const before = reduceAll(initialState(TASK), events.slice(0, -1));
      assert.equal(before.text, end?.text);
      const reasoning = list.filter((it) => it.type === "reasoning").map((it) => it.text ?? "");
      assert.equal(before.reasoning, reasoning.join(""));
      assert.equal(isEnded(before), false);
      assert.equal(isEnded(reduceAll(before, events.slice(-1))), true);
    }),
  );
});

test("text never shrinks and never shows what was not yet its turn", () => {
  fc.assert(
    fc.property(delivery, ({ events, received }) => {
      const whole = events.at(-1)?.text ?? "";
      let state = initialState(TASK);
      for (const event of received) {
        const next = reduce(state, event);
        assert.ok(next.text.startsWith(state.text));
        assert.ok(whole.startsWith(next.text));
        state = next;
      }
    }),
  );
});

test("a snapshot at any point stands for what was trimmed", () => {
  fc.assert(
    fc.property(delivery, fc.nat(), ({ events, received }, cut) => {
      const at = 1 + (cut % Math.max(events.length - 1, 1));
      const upTo = reduceAll(initialState(TASK), events.slice(0, at));
      fc.pre(!isEnded(upTo) && upTo.toolCalls.length === 0);
      const snapshot = parseEvent({
        ...{ type: "snapshot", task_id: TASK, gen: upTo.gen, seq: at, partial: false },
        ...{ text: upTo.text, reasoning: upTo.reasoning, tool_calls: [] },
      });
      assert.ok(snapshot);
      const late = reduceAll(initialState(TASK), received);
      const state = reduceAll(late, [snapshot, ...events.slice(at)]);
      const orderly = reduceAll(initialState(TASK), events);
      assert.equal(shown(state).text, orderly.text);
      assert.equal(state.reasoning, orderly.reasoning);
      assert.deepEqual(state.toolCalls, orderly.toolCalls);
      assert.equal(state.status, orderly.status);
    }),
    { numRuns: 300 },
  );
});

test("a gap is known as one, and closes when the missing event comes", () => {
  const events = log([{ type: "start" }, { type: "text", text: "a" }, { type: "text", text: "b" }]);
  const [start, a, b] = events as [ProgressEvent, ProgressEvent, ProgressEvent];
  const gapped = reduceAll(initialState(TASK), [start, b]);
  assert.equal(hasGap(gapped), true);
  assert.equal(gapped.text, "");
  const closed = reduce(gapped, a);
  assert.equal(hasGap(closed), false);
  assert.equal(closed.text, "ab");
});

test("an end after a gap that nobody can fill still gives the whole text", () => {
  const events = log([{ type: "start" }, { type: "text", text: "a" }, { type: "completion", text: "a" }]);
  const gapped = reduceAll(
    initialState(TASK),
    [events[0], events[2]].filter((it) => it !== undefined),
  );
  assert.equal(isEnded(gapped), false);
  const settled = settleGap(gapped);
  assert.equal(isEnded(settled), true);
  assert.equal(settled.text, "a");
});

test("events of another task and what is no event change nothing", () => {
  const state = initialState(TASK);
  const foreign = { type: "text", text: "x", partial: true, gen: 1, seq: 1, task_id: "other" };
  assert.equal(reduce(state, foreign), state);
  for (const raw of [
    null,
    1,
    "x",
    [],
    {},
    { type: "text", task_id: TASK },
    { type: "text", task_id: TASK, seq: 0 },
  ]) {
    assert.equal(parseEvent(raw), null);
  }
});

test("the timer's start is the server's: ts minus elapsed_ms of the newest event", () => {
  const [event] = log([{ type: "start", ts: 50_000, elapsed_ms: 2_000 }]);
  assert.ok(event);
  assert.equal(reduce(initialState(TASK), event).acceptedAt, 48_000);
});

test("how many messages were left out is known from the status on, and from the end alone", () => {
  const status = { type: "status", state: "connecting", detail: "…", trimmed_messages: 12 };
  const text = { type: "text", text: "a", partial: true };
  const end = { type: "completion", text: "a", trimmed_messages: 12 };
  const state = initialState(TASK);
  assert.equal(reduceAll(state, log([{ type: "start" }, status, text])).trimmedMessages, 12);
  assert.equal(reduceAll(state, log([{ type: "start" }, text, end])).trimmedMessages, 12);
  assert.equal(
    reduceAll(state, log([{ type: "start" }, text, { ...end, trimmed_messages: 0 }])).trimmedMessages,
    0,
  );
});
