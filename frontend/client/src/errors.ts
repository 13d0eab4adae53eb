/** Errors of the API, read from the body that Frappe gives them. */

export interface ApiErrorParts {
  status: number;
  message: string;
  excType?: string;
  retryAfterMs?: number | null;
}

/** A call that the server refused or that never reached it (`status` 0). `message` is for people. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** Frappe's exception class, such as `ValidationError`; empty where there was none. */
  readonly excType: string;
  readonly retryAfterMs: number | null;

  constructor(parts: ApiErrorParts) {
    super(parts.message);
    this.status = parts.status;
    this.excType = parts.excType ?? "";
    this.retryAfterMs = parts.retryAfterMs ?? null;
  }

  /** No answer at all: the network, the server or a proxy is down. */
  get unreachable(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 504;
  }

  /** The same call may succeed later. */
  get retryable(): boolean {
    return this.unreachable || this.status === 429 || this.status === 503;
  }

  /** The session is over or never was. */
  get unauthenticated(): boolean {
    return this.status === 401 || this.excType === "AuthenticationError" || this.excType === "CSRFTokenError";
  }
}

const BY_STATUS: Record<number, string> = {
  0: "The server cannot be reached. Check the connection and try again.",
  400: "The server did not understand the request. Reload the page and try again.",
  401: "You are not logged in. Log in and try again.",
  403: "You are not permitted to do this.",
  404: "This does not exist (any more).",
  413: "The message is too large. Shorten it and try again.",
  417: "The request was not valid.",
  429: "Too many requests. Wait a little and try again.",
  503: "The service is not available at the moment. Try again in a little while.",
};

/** Makes an ApiError from an answer's status, body and `Retry-After` header. */
export function errorFromBody(status: number, body: string, retryAfter: string | null = null): ApiError {
  const parsed = parseObject(body);
  const excType = typeof parsed?.exc_type === "string" ? parsed.exc_type : "";
  const message = serverMessage(parsed) ?? exceptionMessage(parsed) ?? byStatus(status);
  return new ApiError({ status, message, excType, retryAfterMs: seconds(retryAfter) });
}

/** Makes an ApiError of status 0 from what `fetch` threw. */
export function errorFromNetwork(cause: unknown): ApiError {
  const error = new ApiError({ status: 0, message: byStatus(0) });
  error.cause = cause;
  return error;
}

function byStatus(status: number): string {
  return BY_STATUS[status] ?? `The server answered with status ${status}. Try again.`;
}

/** `_server_messages` is a JSON list of JSON objects with a `message` that may hold HTML. */
function serverMessage(body: Record<string, unknown> | null): string | null {
  const list = parse(body?._server_messages);
  if (!Array.isArray(list)) return null;
  const texts = list.map((it) => {
    const inner = parse(it);
    return typeof inner === "string" ? inner : (inner as { message?: unknown } | null)?.message;
  });
  const plain = texts.filter((it): it is string => typeof it === "string").map(stripTags);
  return plain.filter(Boolean).join("\n") || null;
}

/** `exception` reads `frappe.exceptions.ValidationError: what was wrong`. */
function exceptionMessage(body: Record<string, unknown> | null): string | null {
  const exception = body?.exception;
  if (typeof exception === "string") {
    const text = stripTags(exception.replace(/^[\w.]+(Error|Exception|Unavailable|Expired)?:\s*/, ""));
    if (text && !/^[\w.]+$/.test(text)) return text;
  }
  const message = body?.message;
  return typeof message === "string" && message ? stripTags(message) : null;
}

function parse(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value; // a plain message, not JSON
  }
}

function parseObject(body: string): Record<string, unknown> | null {
  const value = parse(body);
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
}

function stripTags(text: string): string {
  return text
    .replace(/<br\s*\/?>/gi, "\n")
    .replace(/<\/?[a-z][^>]*>/gi, "")
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&quot;/g, '"')
    .replace(/&#39;/g, "'")
    .replace(/&amp;/g, "&")
    .trim();
}

function seconds(header: string | null): number | null {
  const value = Number(header);
  return header && Number.isFinite(value) ? value * 1000 : null;
}
