/** Tool calls: their arguments arrive in pieces, their progress as events of its own. */
import type { ProgressEvent, WireToolCall } from "./events.ts";
import type { ToolCall } from "./state.ts";

const RUN_STATES: Record<string, ToolCall["run"]> = {
  tool_started: "started",
  tool_progress: "started",
  tool_completed: "completed",
  tool_failed: "failed",
};

/** Folds one `tool_*` event into the list; a call is found by its id and keeps its place. */
export function foldToolEvent(calls: readonly ToolCall[], event: ProgressEvent): ToolCall[] {
  const id = event.tool_call_id ?? "";
  const known = calls.find((it) => it.id === id);
  const call = known ?? blank(id);
  const next = event.type === "tool_call" ? foldPiece(call, event) : foldRun(call, event);
  return known ? calls.map((it) => (it === known ? next : it)) : [...calls, next];
}

/** The calls as a whole, as `completion` and `snapshot` give them; what is known of their runs is kept. */
export function fromWire(wire: readonly WireToolCall[], known: readonly ToolCall[]): ToolCall[] {
  return wire.map((it, index) => {
    const id = it.id ?? it.tool_call_id ?? String(index);
    const before = known.find((call) => call.id === id) ?? blank(id);
    const name = it.function?.name ?? it.name ?? before.name;
    const args = it.function?.arguments ?? it.arguments ?? before.arguments;
    return { ...before, name, arguments: args, closed: true };
  });
}

export function closeToolCall(call: ToolCall): ToolCall {
  return call.closed ? call : { ...call, closed: true };
}

function blank(id: string): ToolCall {
  return { id, name: "", arguments: "", closed: false, run: "none" };
}

function foldPiece(call: ToolCall, event: ProgressEvent): ToolCall {
  const name = event.name || call.name;
  const piece = event.arguments ?? "";
  if (!event.partial) return { ...call, name, arguments: piece, closed: true };
  return { ...call, name, arguments: call.arguments + piece, closed: false };
}

function foldRun(call: ToolCall, event: ProgressEvent): ToolCall {
  return {
    ...call,
    name: event.name || call.name,
    run: RUN_STATES[event.type] ?? call.run,
    progress: event.progress ?? call.progress,
    message: event.message ?? call.message,
    durationMs: event.duration_ms ?? call.durationMs,
    error: event.error === undefined ? call.error : words(event.error),
  };
}

function words(error: unknown): string {
  if (typeof error === "string") return error;
  const message = (error as { message?: unknown } | null)?.message;
  return typeof message === "string" ? message : JSON.stringify(error);
}
