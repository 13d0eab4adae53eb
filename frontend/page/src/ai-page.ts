/** `<ai-page>`: the embedded host's page: the assistant, the address bar, the account. */
import { AssistantClient } from "@ai-assistant/client";
import { type AiAssistant, baseStyles, icons, type RouteDetail, tabStorage } from "@ai-assistant/elements";
import { html, LitElement, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { Boot } from "./boot.ts";
import { mark } from "./mark.ts";
import { pageStyles } from "./page-styles.ts";
import { conversationInUrl, showInUrl } from "./route.ts";
import { currentTheme, toggleTheme } from "./theme-toggle.ts";

const SUGGESTIONS = [
  "Explain microservices",
  "Write Python code for prime numbers",
  "Compare data structures in a table",
];
const TITLE = "AI Assistant";
const CAUTION = "Models make mistakes. Check what matters.";
const DEMO = "Built-in demonstration model: its answers are prepared.";

@customElement("ai-page")
export class AiPage extends LitElement {
  static override styles = [baseStyles, pageStyles];

  @property({ attribute: false }) boot!: Boot;
  @state() private theme = currentTheme();
  @query("ai-assistant") private assistant!: AiAssistant;
  #client!: AssistantClient;

  override connectedCallback(): void {
    super.connectedCallback();
    const { csrf_token, site } = this.boot;
    this.#client = new AssistantClient({ site, auth: { kind: "session", csrfToken: csrf_token } });
    this.#client.connect();
    window.addEventListener("hashchange", this.#onAddress);
    window.addEventListener("popstate", this.#onAddress);
  }

  override disconnectedCallback(): void {
    window.removeEventListener("hashchange", this.#onAddress);
    window.removeEventListener("popstate", this.#onAddress);
    this.#client.close();
    super.disconnectedCallback();
  }

  protected override firstUpdated(): void {
    this.assistant.begin(conversationInUrl());
  }

  protected override render() {
    return html`
      <ai-assistant .client=${this.#client} .storage=${tabStorage()} .suggestions=${SUGGESTIONS} .name=${TITLE}
        @ai-route=${this.#onRoute} @ai-heading=${this.#onHeading}>
        <div slot="brand" class="brand">${mark}<span>${TITLE}</span></div>
        ${this.#account()}
        ${this.boot.demo ? demoNotice() : nothing}
        <p slot="footer" class="small">${this.boot.demo ? DEMO : CAUTION}</p>
      </ai-assistant>
    `;
  }

  #account() {
    const dark = this.theme === "dark";
    return html`
      <div slot="account" class="account">
        <span title=${this.boot.user}>${this.boot.full_name || this.boot.user}</span>
        <button class="icon" aria-label=${dark ? "Use the light theme" : "Use the dark theme"}
          title=${dark ? "Light" : "Dark"} @click=${this.#toggleTheme}>${dark ? icons.sunIcon : icons.moonIcon}</button>
        <button class="icon" aria-label="Log out" title="Log out" @click=${this.#logout}>${icons.logoutIcon}</button>
      </div>
    `;
  }

  /** The address changed: back, forward, a link. */
  #onAddress = (): void => this.assistant.show(conversationInUrl());

  #onRoute(event: CustomEvent<RouteDetail>): void {
    showInUrl(event.detail.conversation, event.detail.replace);
  }

  #onHeading(event: CustomEvent<{ title: string }>): void {
    const { title } = event.detail;
    document.title = title ? `${title} · ${TITLE}` : TITLE;
  }

  #toggleTheme(): void {
    this.theme = toggleTheme();
  }

  async #logout(): Promise<void> {
    try {
      await this.#client.api.logout();
    } finally {
      location.assign("/");
    }
  }
}

function demoNotice() {
  return html`<p slot="notice" class="demo" role="note">This is the built-in demonstration model. Add a key (for example
    <code>OPENAI_API_KEY</code> or <code>ANTHROPIC_API_KEY</code>) or a config file and start again to talk to a real one.</p>`;
}
