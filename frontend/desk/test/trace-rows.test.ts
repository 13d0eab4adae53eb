import assert from "node:assert/strict";
import { test } from "node:test";
import { observationFromDoc } from "../src/trace-rows.ts";

const DOC = {
  name: `${"a".repeat(32)}${"b".repeat(16)}`,
  span: "b".repeat(16),
  title: "&lt;b&gt; or not",
  status: "completed",
  started_at: "2026-11-28 08:00:00.000000",
  ended_at: "2026-11-28 08:00:00.000004",
  duration_ms: 0,
  prompt_tokens: 7,
  completion_tokens: 0,
  cost: 0,
  cost_known: 1,
  confidence: 0,
  reasoning_kept: 10,
  reasoning_chars: 25,
  reasoning_truncated: 1,
  input_truncated: 0,
};

test("a document is the observation that the API would give", () => {
  const row = observationFromDoc(DOC);
  assert.equal(row.span, DOC.span);
  assert.equal(row.title, "<b> or not");
  assert.equal(row.prompt_tokens, 7);
  assert.equal(row.reasoning_truncated, true);
  assert.equal(row.input_truncated, false);
});

test("nothing is not nought: numbers that are not known are left out", () => {
  const row = observationFromDoc(DOC);
  assert.ok(!("completion_tokens" in row) && !("confidence" in row));
  assert.equal(row.cost, 0);
  assert.equal(row.duration_ms, 0);
  const open = observationFromDoc({ ...DOC, ended_at: null, cost_known: 0 });
  assert.ok(!("duration_ms" in open) && !("cost" in open));
});
