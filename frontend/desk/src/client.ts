/** The Desk's one client: everything on the page shares its connection, and it lives as long as the page. */
import { AssistantClient, FrappeRealtimeTransport } from "@ai-assistant/client";

let client: AssistantClient | null = null;

/** The client, connected. Calls carry the session's cookie and its CSRF token. */
export function deskClient(): AssistantClient {
  if (client) return client;
  client = new AssistantClient({
    auth: {
      kind: "session",
      get csrfToken() {
        return frappe.csrf_token;
      },
    },
    transport: new FrappeRealtimeTransport(frappe.realtime),
  });
  client.connect();
  return client;
}
