/**
 * The server's clock as seen from here. A timer that the server measured has to go on counting between two
 * events, and after a reload with nothing but replayed events; for that the difference of the two clocks
 * must be known. Every answer and every live event narrows the interval in which it lies.
 */
export class ServerClock {
  #low = Number.NEGATIVE_INFINITY;
  #high = Number.POSITIVE_INFINITY;

  constructor(private readonly now: () => number = Date.now) {}

  /** A live event: stamped by the server at `ts`, here a little later. */
  observeEvent(ts: number): void {
    this.#narrow(Number.NEGATIVE_INFINITY, this.now() - ts);
  }

  /** An HTTP answer: its `Date` (whole seconds, cut) lies between the sending and the receipt. */
  observeDate(date: string | null, sentAt: number, receivedAt: number): void {
    const server = date ? Date.parse(date) : Number.NaN;
    if (Number.isNaN(server)) return;
    // A server may hand out the same Date for a second, so that it is up to two seconds old.
    this.#narrow(sentAt - server - 2000, receivedAt - server);
  }

  /** Milliseconds to subtract from the local clock. 0 as long as the local clock may be right. */
  get offset(): number {
    if (this.#low <= 0 && this.#high >= 0) return 0;
    return this.#low > 0 ? this.#low : this.#high;
  }

  /** Epoch milliseconds on the server. */
  serverNow(): number {
    return this.now() - this.offset;
  }

  #narrow(low: number, high: number): void {
    const nextLow = Math.max(this.#low, low);
    const nextHigh = Math.min(this.#high, high);
    const contradiction = nextLow > nextHigh; // one of the two clocks was set anew
    this.#low = contradiction ? low : nextLow;
    this.#high = contradiction ? high : nextHigh;
  }
}
