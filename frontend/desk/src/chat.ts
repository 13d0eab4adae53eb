/** The page AI Chat: the assistant below the Desk's head, and the Desk's router as its address bar. */
import { type AiAssistant, type RouteDetail, t, tabStorage } from "@ai-assistant/elements";
import { deskClient } from "./client.ts";
import type { DeskPage } from "./frappe.ts";
import { keepKeys } from "./keys.ts";

export const ROUTE = "ai-chat";

export class DeskChat {
  readonly #element: AiAssistant;
  /** Another page was shown since: coming back without a name means going on. */
  #away = false;
  #begun = false;

  constructor(page: DeskPage) {
    this.#element = this.#makeElement();
    const main = page.main.get(0);
    main.replaceChildren(this.#element);
    main.classList.remove("frappe-card");
    window.addEventListener("resize", () => this.#fit());
  }

  /** The router has come to this page, or to another conversation on it. */
  shown(): void {
    frappe.breadcrumbs.add("AI Assistant");
    this.#fit();
    const named = frappe.get_route()[1] || null;
    if (!this.#begun) this.#element.begin(named);
    else if (this.#away && !named) this.#goOn();
    else this.#element.show(named);
    if (this.#begun && this.#away) this.#element.refresh();
    this.#begun = true;
    this.#away = false;
  }

  /** The router has left this page; what runs goes on. */
  hidden(): void {
    this.#away = true;
  }

  #makeElement(): AiAssistant {
    const element = document.createElement("ai-assistant") as AiAssistant;
    element.client = deskClient();
    element.storage = tabStorage();
    element.name = t("AI Chat");
    element.href = (conversation) => `/app/${ROUTE}/${encodeURIComponent(conversation)}`;
    element.addEventListener("ai-route", (event) =>
      this.#onRoute((event as CustomEvent<RouteDetail>).detail),
    );
    element.addEventListener("ai-heading", (event) => this.#onHeading((event as CustomEvent).detail.title));
    element.append(footer(), noModels());
    keepKeys(element);
    return element;
  }

  /** The browser's tab names the conversation; the page's head stays as it is. */
  #onHeading(title: string): void {
    if (frappe.get_route()[0] === ROUTE) frappe.utils.set_title(title || t("AI Chat"));
  }

  #goOn(): void {
    const { conversation } = this.#element;
    if (conversation) this.#onRoute({ conversation, replace: true });
    this.#element.focus();
  }

  /** A conversation that gets its name while the person is elsewhere in the Desk does not call them back. */
  #onRoute({ conversation, replace }: RouteDetail): void {
    const [page, named] = frappe.get_route();
    if (page !== ROUTE || (named || null) === conversation) return;
    if (replace) frappe.route_flags.replace_route = true;
    void frappe.set_route(...(conversation ? [ROUTE, conversation] : [ROUTE]));
  }

  /** As high as the window is below the Desk's head. */
  #fit(): void {
    const top = this.#element.getBoundingClientRect().top + window.scrollY;
    this.#element.style.height = `calc(100dvh - ${Math.max(0, Math.round(top))}px)`;
  }
}

function footer(): HTMLElement {
  const words = document.createElement("p");
  words.slot = "footer";
  words.style.cssText = "margin: 0.5rem 0 0; text-align: center; font-size: 0.75rem; color: var(--ai-muted)";
  words.textContent = t("Models make mistakes. Check what matters.");
  return words;
}

/** Shown where nobody could answer. */
function noModels(): HTMLElement {
  const words = document.createElement("p");
  words.slot = "no-models";
  words.style.cssText =
    "margin: 0 0 0.6rem; padding: 0.55rem 0.95rem; border-radius: 12px; font-size: 0.8125rem; " +
    "background: var(--ai-think-soft); color: var(--ai-think-text)";
  if (!frappe.user.has_role(["AI Manager", "System Manager"])) {
    words.textContent = t("There is no model that you may use yet. Ask your administrator to add one.");
    return words;
  }
  const link = document.createElement("a");
  link.href = "/app/ai-model/new";
  link.textContent = t("Add an AI Model");
  link.style.cssText = "color: inherit; text-decoration: underline";
  words.append(t("There is no model yet."), " ", link);
  return words;
}
