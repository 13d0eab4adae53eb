import assert from "node:assert/strict";
import { test } from "node:test";
import { turnFromStored } from "@ai-assistant/client";
import { messageFromRow } from "../src/rows.ts";

const ROW = {
  name: "m1",
  role: "assistant",
  status: "failed",
  content: "",
  content_format: "text",
  reasoning: "why",
  tool_calls: '[{"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}}]',
  error_code: "provider_auth",
  error_message: "The key was refused.",
  total_tokens: 7,
  cost: 0,
  cost_known: 0,
  estimated: 1,
  ttft_ms: 120,
  total_ms: 400,
};

test("a row of the DocType is the turn that the API would give", () => {
  const turn = turnFromStored(messageFromRow(ROW), 0);
  assert.equal(turn.status, "failed");
  assert.deepEqual(turn.error, { code: "provider_auth", message: "The key was refused.", retryable: false });
  assert.equal(turn.usage?.cost, null);
  assert.equal(turn.usage?.estimated, true);
  assert.equal(turn.timings?.ttft_ms, 120);
  assert.equal(turn.toolCalls[0]?.name, "look");
});

test("a message with parts shows their text, and without readable parts its own", () => {
  const parts = { ...ROW, role: "user", content: "kept", content_format: "parts" };
  const whole = { ...parts, content_parts: '[{"type":"text","text":"from the part"}]' };
  assert.equal(turnFromStored(messageFromRow(whole), 0).content, "from the part");
  assert.equal(turnFromStored(messageFromRow({ ...parts, content_parts: "[{" }), 0).content, "kept");
});
