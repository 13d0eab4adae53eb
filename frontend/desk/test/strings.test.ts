import assert from "node:assert/strict";
import { test } from "node:test";
import { rendered, stored, translatable } from "../strings.ts";

test("every text of the components is where translators find it", async () => {
  assert.equal(await stored(), await rendered(), "run: npm run strings");
});

test("texts of components, of tables and of the client are found", async () => {
  const texts = await translatable();
  for (const text of ["New chat", "Yesterday", "You are not permitted to do this.", "{0} in, {1} out"])
    assert.ok(texts.includes(text), text);
});
