/** Attempts at one question come together; nothing else does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { foldAttempts, type Turn, turnFromStored } from "../src/index.ts";

function turn(role: string, content: string, status = "completed", index = 0): Turn {
  return turnFromStored({ role, content, status, name: `${role}-${index}` }, index);
}

function contents(turns: Turn[]): string[] {
  return foldAttempts(turns).map(({ turn, earlier }) => [...earlier, turn].map((it) => it.content).join("+"));
}

test("a failed answer and its repetition are one", () => {
  const turns = [
    turn("user", "Q"),
    turn("assistant", "half", "interrupted"),
    turn("user", "Q"),
    turn("assistant", "A"),
  ];
  assert.deepEqual(contents(turns), ["Q", "half+A"]);
});

test("three attempts are one answer, in their order", () => {
  const failed = (text: string) => [turn("user", "Q"), turn("assistant", text, "failed")];
  assert.deepEqual(contents([...failed("1"), ...failed("2"), ...failed("3")]), ["Q", "1+2+3"]);
});

test("the same question after a whole answer, and another one after a failure, stay", () => {
  const whole = [turn("user", "Q"), turn("assistant", "A"), turn("user", "Q"), turn("assistant", "B")];
  assert.deepEqual(contents(whole), ["Q", "A", "Q", "B"]);
  const other = [
    turn("user", "Q"),
    turn("assistant", "A", "failed"),
    turn("user", "R"),
    turn("assistant", "B"),
  ];
  assert.deepEqual(contents(other), ["Q", "A", "R", "B"]);
});

test("no answer is ever lost, and each is shown once", () => {
  const one = fc.tuple(
    fc.constantFrom("user", "assistant"),
    fc.constantFrom("Q", "R"),
    fc.constantFrom("completed", "failed", "cancelled", "interrupted", "streaming"),
  );
  fc.assert(
    fc.property(fc.array(one, { maxLength: 12 }), (parts) => {
      const turns = parts.map(([role, content, status], index) => turn(role, content, status, index));
      const shown = foldAttempts(turns).flatMap(({ turn, earlier }) => [...earlier, turn]);
      const answers = (list: readonly Turn[]) =>
        list.filter((it) => it.role === "assistant").map((it) => it.key);
      assert.deepEqual(answers(shown), answers(turns));
    }),
  );
});
