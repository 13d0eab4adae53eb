/** The little of the Desk's globals that is used here. */
import type { FrappeRealtime } from "@ai-assistant/client";

export interface Frappe {
  csrf_token: string;
  session: { user: string };
  realtime: FrappeRealtime;
  route_flags: { replace_route?: boolean };
  get_route(): string[];
  set_route(...route: string[]): unknown;
  utils: { set_title(title: string): void; escape_html(text: string): string };
  ui: { Dialog: new (options: DialogOptions) => DeskDialog };
  breadcrumbs: { add(module: string): void };
  ai_assistant?: unknown;
  db: {
    get_list(doctype: string, args: Record<string, unknown>): Promise<Record<string, unknown>[]>;
  };
  user: { has_role(role: string | string[]): boolean };
}

export interface DialogOptions {
  /** HTML. */
  title: string;
  size?: "small" | "large" | "extra-large";
  on_hide?: () => void;
}

/** A dialog, with the little of jQuery that is used of it. */
export interface DeskDialog {
  $body: { append(element: HTMLElement): unknown };
  $wrapper: { remove(): unknown };
  show(): void;
}

/** A page made by `frappe.ui.make_app_page`. */
export interface DeskPage {
  main: { get(index: 0): HTMLElement };
}

declare global {
  const frappe: Frappe;
  /** Frappe's translation. */
  const __: (text: string, values?: readonly (string | number)[]) => string;
}
