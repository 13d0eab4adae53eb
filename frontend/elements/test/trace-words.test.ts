/** What the figures of a trace say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Observation } from "@ai-assistant/client";
import { cutWords, lengthWords, payloadsOf, pretty, tokenWords, took } from "../src/trace-words.ts";

test("there is a button for what can be shown, and for nothing else", () => {
  const row: Observation = { span: "a", depth: 0, input_chars: 4, reasoning_kept: 0, output_chars: 2 };
  assert.deepEqual(payloadsOf(row), ["input", "output"]);
  assert.deepEqual(payloadsOf({ ...row, reasoning_kept: 9 }), ["input", "reasoning", "output"]);
  assert.deepEqual(payloadsOf({ span: "a", depth: 0 }), []);
});

test("lengths say how much of it is here", () => {
  assert.equal(lengthWords(1, null, false), "1 character");
  assert.equal(lengthWords(51_200, 51_200, false), "51,200 characters");
  assert.equal(lengthWords(427, 51_200, true), "427 of 51,200 characters");
  assert.equal(lengthWords(427, null, true), "The first 427 characters");
  assert.match(cutWords(51_200, 80_000), /28,800 more characters/);
  assert.match(cutWords(51_200, null), /the rest was not kept/);
});

test("JSON is indented, and what only looks like it stays", () => {
  assert.equal(pretty('{"a":[1]}'), '{\n  "a": [\n    1\n  ]\n}');
  for (const text of ["[1, 2", "{not json}", "plain <b>text</b>", ""]) assert.equal(pretty(text), text);
});

test("times and tokens", () => {
  assert.equal(took(null), "–");
  assert.equal(took(0), "< 1 ms");
  assert.equal(took(125_000), "2 min 05 s");
  assert.equal(tokenWords({ prompt_tokens: 1200, completion_tokens: 0 }), "1,200 in, 0 out");
  assert.equal(tokenWords({ total_tokens: 9 }), "9");
  assert.equal(tokenWords({}), "");
});
