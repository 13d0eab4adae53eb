// Logs in, calls and follows a task with frappe-js-sdk alone and with socket.io-client beside it, as an application
// built on the SDK does; prints one JSON document.
//
//   node sdk.mjs <url> <site>     environment: WIRE_USER and WIRE_PASSWORD, or WIRE_TOKEN; WIRE_MESSAGES, WIRE_SOCKET_URL
import { FrappeApp } from "frappe-js-sdk";
import { io } from "socket.io-client";

const [url, site] = process.argv.slice(2);
const { WIRE_USER, WIRE_PASSWORD, WIRE_TOKEN, WIRE_MESSAGES, WIRE_SOCKET_URL } = process.env;
const byToken = WIRE_TOKEN ? { useToken: true, token: () => WIRE_TOKEN, type: "token" } : undefined;
const app = new FrappeApp(url, byToken);
let cookie = WIRE_TOKEN ? "any=cookie" : "";

if (!WIRE_TOKEN) {
  // Node keeps no cookies; a browser does this by itself.
  app.axios.interceptors.response.use((response) => {
    const given = response.headers["set-cookie"] ?? [];
    const sid = given.map((line) => line.split(";")[0]).find((pair) => pair.startsWith("sid="));
    if (sid) cookie = sid;
    return response;
  });
  app.axios.interceptors.request.use((request) => {
    if (cookie) request.headers.set("Cookie", cookie);
    return request;
  });
}

const found = {};
if (!WIRE_TOKEN) found.login = await app.auth().loginWithUsernamePassword({ username: WIRE_USER, password: WIRE_PASSWORD });
found.user = await app.auth().getLoggedInUser();

const socket = io(`${WIRE_SOCKET_URL ?? url}/${site}`, {
  extraHeaders: {
    Origin: new URL(url).origin,
    Cookie: cookie,
    ...(WIRE_TOKEN ? { Authorization: `token ${WIRE_TOKEN}` } : {}),
  },
  transports: ["polling", "websocket"],
  reconnection: false,
});
const events = [];
socket.on("ai_progress", (event) => events.push(event));
await new Promise((resolve, reject) => {
  socket.on("connect", resolve);
  socket.on("connect_error", reject);
});

const call = app.call();
const body = { messages: JSON.parse(WIRE_MESSAGES) };
found.task = (await call.post("ai_assistant.api.chat_completion", body)).message;
found.again = (await call.get("ai_assistant.api.get_task", { task_id: found.task.task_id })).message;
found.error = await call.post("ai_assistant.api.chat_completion", { messages: [] }).then(
  () => null,
  (error) => ({ httpStatus: error.httpStatus, exc_type: error.exc_type, message: error.message }),
);
for (let waited = 0; waited < 200 && events.at(-1)?.type !== "completion"; waited++) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
found.events = events;
if (!WIRE_TOKEN) await app.auth().logout();
socket.close();
console.log(JSON.stringify(found));
process.exit(0);
