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
