/** How live events reach the client. Anything that can hand out `ai_progress` can stand behind this. */

export type TransportState = "connecting" | "up" | "down";

export interface TransportHandlers {
  onEvent(raw: unknown): void;
  onState(state: TransportState): void;
}

export interface Transport {
  /** Begins to connect and goes on trying until `close`. */
  open(handlers: TransportHandlers): void;
  close(): void;
}

export const EVENT_NAME = "ai_progress";

/** For hosts without Socket.IO: the client then polls. */
export class NoTransport implements Transport {
  open(handlers: TransportHandlers): void {
    handlers.onState("down");
  }

  close(): void {}
}

/** What the Desk offers as `frappe.realtime`. */
export interface FrappeRealtime {
  on(event: string, handler: (data: unknown) => void): void;
  off(event: string, handler: (data: unknown) => void): void;
  socket?: {
    connected: boolean;
    on(event: string, handler: () => void): void;
    off(event: string, handler: () => void): void;
  } | null;
}

/** The Desk's own connection, which it shares with everything else on the page. */
export class FrappeRealtimeTransport implements Transport {
  #undo: (() => void)[] = [];

  constructor(private readonly realtime: FrappeRealtime) {}

  open(handlers: TransportHandlers): void {
    const { realtime } = this;
    realtime.on(EVENT_NAME, handlers.onEvent);
    this.#undo.push(() => realtime.off(EVENT_NAME, handlers.onEvent));
    const socket = realtime.socket;
    if (!socket) return handlers.onState("down");
    const up = () => handlers.onState("up");
    const down = () => handlers.onState("down");
    socket.on("connect", up);
    socket.on("disconnect", down);
    this.#undo.push(
      () => socket.off("connect", up),
      () => socket.off("disconnect", down),
    );
    handlers.onState(socket.connected ? "up" : "connecting");
  }

  close(): void {
    for (const undo of this.#undo.splice(0)) undo();
  }
}
