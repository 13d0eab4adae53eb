/** Frappe's error bodies in readable words; the clock of the server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { uuidFromBytes } from "../src/ids.ts";
import { errorFromBody, ServerClock } from "../src/index.ts";

test("the server's own message wins over the exception", () => {
  const body = JSON.stringify({
    exc_type: "ValidationError",
    exception: "frappe.exceptions.ValidationError: other words",
    _server_messages: JSON.stringify([JSON.stringify({ message: "messages: must not be empty" })]),
  });
  const error = errorFromBody(417, body);
  assert.equal(error.message, "messages: must not be empty");
  assert.equal(error.excType, "ValidationError");
  assert.equal(error.retryable, false);
});

test("an exception loses its class name; a bare one gives way to words by status", () => {
  const named = JSON.stringify({ exception: "frappe.exceptions.ValidationError: limit: must be positive" });
  assert.equal(errorFromBody(417, named).message, "limit: must be positive");
  const bare = JSON.stringify({
    exc_type: "PermissionError",
    exception: "frappe.exceptions.PermissionError",
  });
  assert.equal(errorFromBody(403, bare).message, "You are not permitted to do this.");
});

test("a body that is no JSON still gives words", () => {
  const error = errorFromBody(503, "<html>Bad gateway</html>", "7");
  assert.match(error.message, /not available/);
  assert.equal(error.retryAfterMs, 7000);
  assert.equal(error.retryable, true);
  assert.match(errorFromBody(599, "").message, /599/);
});

test("a clock that is wrong by minutes is corrected by a live event", () => {
  const clock = new ServerClock(() => 1_000_000);
  assert.equal(clock.serverNow(), 1_000_000);
  clock.observeEvent(1_000_000 + 300_000); // the server is five minutes ahead
  assert.equal(clock.serverNow(), 1_300_000);
});

test("a clock that is right is left alone by latency and by whole seconds", () => {
  const clock = new ServerClock(() => 1_000_900);
  clock.observeEvent(1_000_870);
  clock.observeDate(new Date(1_000_000).toUTCString(), 1_000_850, 1_000_900);
  assert.equal(clock.offset, 0);
});

test("a clock that is behind is corrected by the Date of an answer", () => {
  const clock = new ServerClock(() => 5_000_000);
  clock.observeDate(new Date(4_000_000).toUTCString(), 5_000_000, 5_000_000);
  assert.ok(Math.abs(clock.serverNow() - 4_000_000) <= 2_000);
});

test("an id made without randomUUID is a version 4 UUID", () => {
  assert.equal(uuidFromBytes(new Uint8Array(16).fill(0xff)), "ffffffff-ffff-4fff-bfff-ffffffffffff");
  assert.match(
    uuidFromBytes(crypto.getRandomValues(new Uint8Array(16))),
    /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab]/,
  );
});
