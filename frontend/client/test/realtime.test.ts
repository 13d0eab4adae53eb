/** `FrappeRealtimeTransport` over a real socket.io-client that gives up, as the Desk's does, and a real server. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Server } from "socket.io";
import { io, type Socket } from "socket.io-client";
import { type FrappeRealtime, FrappeRealtimeTransport } from "../src/realtime.ts";
import type { TransportState } from "../src/transport.ts";

const ATTEMPTS = { reconnectionAttempts: 2, reconnectionDelay: 20, reconnectionDelayMax: 40 };

async function serve(port = 0): Promise<{ port: number; server: Server; stop(): Promise<void> }> {
  const http = createServer();
  const server = new Server(http);
  server.of("/site");
  await new Promise<void>((resolve) => http.listen(port, "127.0.0.1", resolve));
  return { port: (http.address() as AddressInfo).port, server, stop: () => server.close() };
}

/** What `frappe.realtime` does with its socket: connects at the first `on`. */
function desk(port: number): FrappeRealtime & { socket: Socket } {
  const socket = io(`http://127.0.0.1:${port}/site`, { ...ATTEMPTS, autoConnect: false, forceNew: true });
  let lazy = true;
  return {
    socket,
    on(event, handler) {
      if (lazy) socket.connect();
      lazy = false;
      socket.on(event, handler);
    },
    off: (event, handler) => void socket.off(event, handler),
  };
}

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!holds()) {
    assert.ok(Date.now() < end, "it did not come to that in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("events arrive again although the Desk's own socket had given up", async () => {
  const first = await serve();
  const realtime = desk(first.port);
  const transport = new FrappeRealtimeTransport(realtime, 50);
  const states: TransportState[] = [];
  const events: unknown[] = [];
  let gaveUp = false;
  realtime.socket.io.on("reconnect_failed", () => {
    gaveUp = true;
  });
  transport.open({ onEvent: (raw) => events.push(raw), onState: (state) => states.push(state) });
  await until(() => states.at(-1) === "up");
  await first.stop();
  await until(() => gaveUp && states.at(-1) === "down");
  const second = await serve(first.port);
  await until(() => states.at(-1) === "up");
  second.server.of("/site").emit("ai_progress", { type: "start" });
  await until(() => events.length === 1);
  assert.deepEqual(states.slice(0, 3), ["connecting", "up", "down"]);

  transport.close();
  second.server.of("/site").emit("ai_progress", { type: "text" });
  await second.stop();
  assert.equal(events.length, 1);
  assert.equal(states.at(-1), "up", "a closed transport says nothing more");
  realtime.socket.disconnect();
});

test("without a socket it says so at once", () => {
  const states: TransportState[] = [];
  const transport = new FrappeRealtimeTransport({ on() {}, off() {} });
  transport.open({ onEvent() {}, onState: (state) => states.push(state) });
  assert.deepEqual(states, ["down"]);
});
