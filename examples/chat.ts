// Asks a question and prints the thinking and the answer as they come.
//   npm install && AI_ASSISTANT_API_KEY=key:secret npx tsx examples/chat.ts "Explain microservices"
import { AssistantClient, isEnded } from "@ai-assistant/client";

const [key = "", secret = ""] = (process.env.AI_ASSISTANT_API_KEY ?? "").split(":");
const client = new AssistantClient({
  baseUrl: process.env.AI_ASSISTANT_URL ?? "http://127.0.0.1:8000",
  site: process.env.AI_ASSISTANT_SITE ?? "assistant.localhost",
  auth: { kind: "token", key, secret },
});

let shown = 0;
client.onTask((task) => {
  const all = task.reasoning + task.text;
  process.stdout.write(all.slice(shown));
  shown = all.length;
  if (!isEnded(task)) return;
  console.log(`\n--- ${task.status} ${JSON.stringify(task.usage ?? task.error)} ---`);
  client.close();
});
client.connect();
client.start({ messages: [{ role: "user", content: process.argv[2] ?? "Explain microservices" }] });
