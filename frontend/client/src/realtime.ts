/** The Desk's own connection, `frappe.realtime`, which is shared with everything else on the page. */
import { EVENT_NAME, type Transport, type TransportHandlers } from "./transport.ts";

/** What is needed of Frappe's socket.io-client socket. */
export interface FrappeSocket {
  readonly connected: boolean;
  on(event: string, handler: () => void): unknown;
  off(event: string, handler: () => void): unknown;
  connect(): unknown;
}

/** What the Desk offers as `frappe.realtime`. There is no socket where the site's configuration says so. */
export interface FrappeRealtime {
  on(event: string, handler: (data: unknown) => void): void;
  off(event: string, handler: (data: unknown) => void): void;
  socket?: FrappeSocket | null;
}

/** Frappe gives up after three attempts to reconnect, until the page is loaded again; we go on, this often. */
const RECONNECT_MS = 5_000;

export class FrappeRealtimeTransport implements Transport {
  #undo: (() => void)[] = [];

  constructor(
    private readonly realtime: FrappeRealtime,
    private readonly reconnectMs = RECONNECT_MS,
  ) {}

  open(handlers: TransportHandlers): void {
    const { realtime } = this;
    realtime.on(EVENT_NAME, handlers.onEvent); // connects where the Desk has not done so yet
    this.#undo.push(() => realtime.off(EVENT_NAME, handlers.onEvent));
    const { socket } = realtime;
    if (!socket) return handlers.onState("down");
    const up = () => handlers.onState("up");
    const down = () => handlers.onState("down");
    socket.on("connect", up);
    socket.on("disconnect", down);
    socket.on("connect_error", down);
    const timer = setInterval(() => reconnect(socket), this.reconnectMs);
    this.#undo.push(
      () => socket.off("connect", up),
      () => socket.off("disconnect", down),
      () => socket.off("connect_error", down),
      () => clearInterval(timer),
    );
    handlers.onState(socket.connected ? "up" : "connecting");
  }

  close(): void {
    for (const undo of this.#undo.splice(0)) undo();
  }
}

/** Does nothing while the library itself is at it. A page that nobody looks at can wait. */
function reconnect(socket: FrappeSocket): void {
  if (!socket.connected && !globalThis.document?.hidden) socket.connect();
}
