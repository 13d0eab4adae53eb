/** Calls of `/api/method/<dotted>` in Frappe's RPC form. */
import type { ServerClock } from "./clock.ts";
import { ApiError, errorFromBody, errorFromNetwork } from "./errors.ts";

/**
 * Who calls. `session`: the browser holds the `sid` cookie; a page that was given a CSRF token passes it.
 * `sid`: the cookie as a value, for programs without a cookie store. `token`: an API key.
 */
export type Auth =
  | { kind: "session"; csrfToken?: string | null }
  | { kind: "sid"; sid: string; csrfToken?: string | null }
  | { kind: "token"; key: string; secret: string };

export interface HttpOptions {
  /** Where the host is, such as `https://erp.example.com`; empty means the page's own origin. */
  baseUrl?: string;
  auth?: Auth;
  /** The site's name, sent as `X-Frappe-Site-Name` where several live at one address. */
  site?: string;
  fetch?: typeof fetch;
  clock?: ServerClock;
}

export interface CallOptions {
  method?: "GET" | "POST";
  signal?: AbortSignal;
  /** Milliseconds after which the call is given up; 30 s if not said. */
  timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;

/** The headers that say who calls; `write` adds the CSRF token that cookie sessions must send. */
export function authHeaders(auth: Auth, write: boolean): Record<string, string> {
  if (auth.kind === "token") return { Authorization: `token ${auth.key}:${auth.secret}` };
  const headers: Record<string, string> = {};
  if (auth.kind === "sid") headers.Cookie = `sid=${auth.sid}`;
  if (write && auth.csrfToken) headers["X-Frappe-CSRF-Token"] = auth.csrfToken;
  return headers;
}

export class Http {
  readonly baseUrl: string;
  readonly auth: Auth;
  readonly site: string | undefined;
  readonly #fetch: typeof fetch;
  readonly #clock: ServerClock | undefined;

  constructor(options: HttpOptions = {}) {
    this.baseUrl = (options.baseUrl ?? "").replace(/\/+$/, "");
    this.auth = options.auth ?? { kind: "session" };
    this.site = options.site;
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.#clock = options.clock;
  }

  /**
   * Calls a method and returns what stands under `message`.
   * @throws ApiError for every refusal, and with status 0 where no answer came in time.
   */
  async call<T>(name: string, args: Record<string, unknown> = {}, options: CallOptions = {}): Promise<T> {
    const method = options.method ?? "POST";
    const sentAt = Date.now();
    const signal = withTimeout(options.signal, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const { response, body } = await this.#exchange(this.#url(name, method, args), {
      method,
      signal,
      credentials: "same-origin",
      headers: this.#headers(method),
      body: method === "POST" ? JSON.stringify(definedOnly(args)) : undefined,
    });
    this.#clock?.observeDate(response.headers.get("date"), sentAt, Date.now());
    if (!response.ok) throw errorFromBody(response.status, body, response.headers.get("retry-after"));
    return unwrap<T>(response.status, body);
  }

  async #exchange(url: string, init: RequestInit): Promise<{ response: Response; body: string }> {
    try {
      const response = await this.#fetch(url, init);
      return { response, body: await response.text() };
    } catch (cause) {
      throw errorFromNetwork(cause);
    }
  }

  #headers(method: string): Record<string, string> {
    const headers: Record<string, string> = {
      Accept: "application/json",
      ...authHeaders(this.auth, method === "POST"),
    };
    if (method === "POST") headers["Content-Type"] = "application/json";
    if (this.site && this.baseUrl) headers["X-Frappe-Site-Name"] = this.site;
    return headers;
  }

  #url(name: string, method: string, args: Record<string, unknown>): string {
    const path = `${this.baseUrl}/api/method/${name}`;
    if (method !== "GET") return path;
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(definedOnly(args))) query.set(key, String(value));
    const text = query.toString();
    return text ? `${path}?${text}` : path;
  }
}

function unwrap<T>(status: number, body: string): T {
  try {
    return (JSON.parse(body) as { message: T }).message;
  } catch {
    const message = "The answer was not JSON. Check that the address is that of an AI Assistant host.";
    throw new ApiError({ status, message });
  }
}

function definedOnly(args: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(args).filter(([, value]) => value !== undefined && value !== null),
  );
}

function withTimeout(signal: AbortSignal | undefined, timeoutMs: number): AbortSignal {
  const limit = AbortSignal.timeout(timeoutMs);
  return signal ? AbortSignal.any([signal, limit]) : limit;
}
