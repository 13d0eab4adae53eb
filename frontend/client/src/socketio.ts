/** Frappe's realtime server by socket.io-client: namespace `/<site>`, event `ai_progress`. */
import { io, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";
import { type Auth, authHeaders } from "./http.ts";
import { EVENT_NAME, type Transport, type TransportHandlers } from "./transport.ts";

export interface SocketIoOptions {
  /** Origin of the realtime server; empty means the page's own. */
  url?: string;
  /** The site's name, which is the namespace. */
  site: string;
  auth?: Auth;
}

/** A refused handshake (not a lost connection) is not retried by the library; we do so, this late. */
const REFUSED_RETRY_MS = 5_000;

export class SocketIoTransport implements Transport {
  #socket: Socket | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: SocketIoOptions) {}

  open(handlers: TransportHandlers): void {
    const origin = this.options.url || globalThis.location?.origin || "";
    const socket = io(`${origin}/${this.options.site}`, this.#socketOptions(origin));
    this.#socket = socket;
    handlers.onState("connecting");
    socket.on(EVENT_NAME, (raw: unknown) => handlers.onEvent(raw));
    socket.on("connect", () => handlers.onState("up"));
    socket.on("disconnect", (reason) => {
      handlers.onState("down");
      if (reason === "io server disconnect") this.#connectLater(socket);
    });
    socket.on("connect_error", () => {
      handlers.onState("down");
      if (!socket.active) this.#connectLater(socket);
    });
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#socket?.disconnect();
    this.#socket = null;
  }

  #connectLater(socket: Socket): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#socket === socket && socket.connect(), REFUSED_RETRY_MS);
  }

  /** Outside a browser Frappe wants an Origin equal to the host, and a cookie even beside an API key. */
  #socketOptions(origin: string): Partial<ManagerOptions & SocketOptions> {
    const { auth, site } = this.options;
    const common = {
      // A browser sends no Origin with a polling GET to its own site, and without one Frappe refuses.
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      reconnectionDelay: 500,
      reconnectionDelayMax: 5_000,
      timeout: 10_000,
      withCredentials: true,
      forceNew: true,
    };
    if (!auth || auth.kind === "session") return common;
    const extraHeaders: Record<string, string> = {
      Origin: origin,
      "X-Frappe-Site-Name": site,
      Cookie: "client=ai-assistant", // any will do beside an API key; a `sid` replaces it
      ...authHeaders(auth, false),
    };
    return { ...common, extraHeaders };
  }
}
