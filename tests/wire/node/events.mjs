// Connects with socket.io-client as Frappe's own pages do, says so, and prints each `ai_progress` as a line of JSON
// until the task that is named on standard input has ended.
//
//   node events.mjs <url> <site>      environment: WIRE_SID, WIRE_TOKEN, WIRE_COOKIE, WIRE_ORIGIN, WIRE_TRANSPORTS
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url, site] = process.argv.slice(2);
const { WIRE_SID, WIRE_TOKEN, WIRE_COOKIE, WIRE_ORIGIN, WIRE_TRANSPORTS } = process.env;
const headers = { Origin: WIRE_ORIGIN ?? new URL(url).origin };
if (WIRE_SID) headers.Cookie = `sid=${WIRE_SID}`;
if (WIRE_COOKIE) headers.Cookie = WIRE_COOKIE;
if (WIRE_TOKEN) headers.Authorization = `token ${WIRE_TOKEN}`;

const ENDS = ["completion", "error", "cancelled"];
const ended = new Set();
let wanted;

const socket = io(`${url}/${site}`, {
  extraHeaders: headers,
  transports: (WIRE_TRANSPORTS ?? "websocket").split(","),
  reconnection: false,
  timeout: 10_000,
});

function leaveWhenDone() {
  if (wanted && ended.has(wanted)) {
    socket.close();
    process.exit(0);
  }
}

socket.on("connect", () => console.log(JSON.stringify({ connected: socket.id })));
socket.on("connect_error", (error) => {
  console.log(JSON.stringify({ refused: error.message }));
  process.exit(0);
});
socket.on("ai_progress", (event) => {
  console.log(JSON.stringify({ event }));
  if (ENDS.includes(event.type)) ended.add(event.task_id);
  leaveWhenDone();
});
createInterface({ input: process.stdin }).on("line", (line) => {
  wanted = line.trim();
  leaveWhenDone();
});
setTimeout(() => process.exit(3), 40_000).unref();
