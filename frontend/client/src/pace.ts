/** When to ask `get_events` next. All times in milliseconds. */

export interface PaceInput {
  /** The live connection is up. */
  live: boolean;
  /** An event is known to be missing. */
  gap: boolean;
  /** Events turned up by asking which the live connection had not brought. */
  deaf: boolean;
  /** No event at all has been seen yet. */
  silent: boolean;
  /** Askings in a row that brought nothing new. */
  idle: number;
  /** Askings in a row that failed. */
  failures: number;
  /** What the server said with `Retry-After`. */
  retryAfterMs: number | null;
}

/** Late and reordered events come by themselves within this time. */
const GAP_GRACE = 120;
const POLL = 350;
const POLL_MAX = 2_000;
/** With a live connection, asking is the safety net; it also lets the server settle an overdue task. */
const FIRST_EVENT = 1_200;
const WATCH = 6_000;
const FAILURE = 500;
const FAILURE_MAX = 8_000;

/** Milliseconds until the next asking. */
export function nextDelay(it: PaceInput): number {
  if (it.failures > 0) {
    const backoff = Math.min(FAILURE * 2 ** (it.failures - 1), FAILURE_MAX);
    return Math.max(backoff, it.retryAfterMs ?? 0);
  }
  if (it.gap) return Math.min(GAP_GRACE * 2 ** it.idle, POLL_MAX);
  if (!it.live || it.deaf) return Math.min(POLL * 1.3 ** it.idle, POLL_MAX);
  return it.silent ? FIRST_EVENT : WATCH;
}
