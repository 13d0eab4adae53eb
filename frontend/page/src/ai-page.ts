/** `<ai-page>`: the embedded host's page: the list of chats, the chat, the account. */
import { AssistantClient, ChatSession, type ModelInfo } from "@ai-assistant/client";
import { type AiChat, baseStyles, icons } from "@ai-assistant/elements";
import { html, LitElement, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { Boot } from "./boot.ts";
import { Conversations } from "./conversations.ts";
import { mark } from "./mark.ts";
import { recall, remember } from "./memory.ts";
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
  @state() private models: readonly ModelInfo[] = [];
  @state() private model = "";
  @state() private current = "";
  @state() private menuOpen = false;
  @state() private theme = currentTheme();
  @query("ai-chat") private chat!: AiChat;
  #client!: AssistantClient;
  #session!: ChatSession;
  #list!: Conversations;
  #stored = { name: "", title: "" };

  override connectedCallback(): void {
    super.connectedCallback();
    const { csrf_token, site } = this.boot;
    this.#client = new AssistantClient({ site, auth: { kind: "session", csrfToken: csrf_token } });
    this.#session = new ChatSession(this.#client, { storage: tabStorage() });
    this.#list = new Conversations(this.#client.api, () => this.requestUpdate());
    this.#client.connect();
    this.#client.onTask((task) => task.phase === "ended" && void this.#list.refresh());
    window.addEventListener("hashchange", this.#onRoute);
    window.addEventListener("popstate", this.#onRoute);
    void this.#list.refresh();
    void this.#loadModels();
    this.#begin();
  }

  override disconnectedCallback(): void {
    window.removeEventListener("hashchange", this.#onRoute);
    window.removeEventListener("popstate", this.#onRoute);
    this.#session.dispose();
    this.#client.close();
    super.disconnectedCallback();
  }

  /** On a touch screen the keyboard would cover the page; there the person taps first. */
  protected override firstUpdated(): void {
    this.#focusChat();
  }

  #focusChat(): void {
    if (matchMedia("(pointer: fine)").matches) this.chat.focus();
  }

  protected override render() {
    return html`
      <div class="frame ${this.menuOpen ? "menu-open" : ""}" @keydown=${this.#onKey}>
        <aside id="menu">
          <button class="skip" @click=${() => this.chat.focus()}>Skip to the chat</button>
          <div class="brand">${mark}<span>${TITLE}</span></div>
          <ai-conversation-list .items=${this.#list.items} .current=${this.current} ?loading=${this.#list.loading}
            .problem=${this.#list.problem} ?more=${this.#list.more}
            @ai-new=${() => this.#show(null)} @ai-open=${this.#onOpen} @ai-rename=${this.#onRename}
            @ai-delete=${this.#onDelete} @ai-search=${this.#onSearch}
            @ai-more=${() => this.#list.older()}></ai-conversation-list>
          ${this.#account()}
        </aside>
        <div class="shade" @click=${() => this.#menu(false)}></div>
        <main>
          ${this.#topBar()}
          <ai-chat .session=${this.#session} .models=${this.models} .model=${this.model} .suggestions=${SUGGESTIONS}
            @ai-conversation=${this.#onConversation} @ai-model=${this.#onModel}>
            ${this.boot.demo ? demoNotice() : nothing}
            <p slot="footer" class="small">${this.boot.demo ? DEMO : CAUTION}</p>
          </ai-chat>
        </main>
      </div>
    `;
  }

  #topBar() {
    return html`
      <div class="top">
        <button class="icon" aria-label="Chats" aria-expanded=${this.menuOpen} aria-controls="menu"
          @click=${() => this.#menu(!this.menuOpen)}>${icons.menuIcon}</button>
        <strong>${this.#heading() || TITLE}</strong>
        <button class="icon" aria-label="New chat" @click=${() => this.#show(null)}>${icons.newIcon}</button>
      </div>
    `;
  }

  #account() {
    const dark = this.theme === "dark";
    return html`
      <div class="account">
        <span title=${this.boot.user}>${this.boot.full_name || this.boot.user}</span>
        <button class="icon" aria-label=${dark ? "Use the light theme" : "Use the dark theme"}
          title=${dark ? "Light" : "Dark"} @click=${this.#toggleTheme}>${dark ? icons.sunIcon : icons.moonIcon}</button>
        <button class="icon" aria-label="Log out" title="Log out" @click=${this.#logout}>${icons.logoutIcon}</button>
      </div>
    `;
  }

  /** The list knows the newest title; before it is there, the conversation itself does. */
  #heading(): string {
    const listed = this.#list.items.find((it) => it.name === this.current)?.title;
    return listed ?? (this.#stored.name === this.current ? this.#stored.title : "");
  }

  protected override updated(): void {
    const heading = this.#heading();
    document.title = heading ? `${heading} · ${TITLE}` : TITLE;
  }

  #begin(): void {
    const conversation = conversationInUrl();
    if (conversation) void this.#session.open(conversation);
    else this.#session.restore();
  }

  async #loadModels(): Promise<void> {
    try {
      this.models = await this.#client.api.getModels();
    } catch {
      return; // without a list the server's default answers, and the picker is not shown
    }
    const chosen = recall("model");
    const known = this.models.find((it) => it.name === chosen) ?? this.models.find((it) => it.is_default);
    this.model = (known ?? this.models[0])?.name ?? "";
  }

  #show(conversation: string | null): void {
    showInUrl(conversation, false);
    this.#route();
    this.#menu(false);
  }

  #onRoute = (): void => this.#route();

  #route(): void {
    const conversation = conversationInUrl();
    if (conversation) void this.#session.open(conversation);
    else if (this.#session.snapshot.turns.length || this.#session.snapshot.conversation)
      this.#session.clear();
    this.#focusChat();
  }

  /** The chat tells which conversation it shows; a new one gets its name with its first event. */
  #onConversation(event: CustomEvent<{ conversation: string | null; title: string }>): void {
    const { conversation, title } = event.detail;
    this.current = conversation ?? "";
    if (conversation) showInUrl(conversation, true);
    this.#stored = { name: this.current, title };
    const { running, turns } = this.#session.snapshot;
    if (conversation && running) this.#list.begin(conversation, turns.at(0)?.content ?? "");
  }

  #onOpen(event: CustomEvent<{ name: string }>): void {
    this.#show(event.detail.name);
  }

  #onRename(event: CustomEvent<{ name: string; title: string }>): void {
    void this.#list.rename(event.detail.name, event.detail.title);
  }

  async #onDelete(event: CustomEvent<{ name: string }>): Promise<void> {
    const { name } = event.detail;
    if ((await this.#list.delete(name)) && name === this.current) this.#show(null);
  }

  #onSearch(event: CustomEvent<{ text: string }>): void {
    void this.#list.search(event.detail.text);
  }

  #onModel(event: CustomEvent<{ model: string }>): void {
    this.model = event.detail.model;
    remember("model", this.model);
  }

  #menu(open: boolean): void {
    this.menuOpen = open;
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key === "Escape" && this.menuOpen) this.#menu(false);
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

function tabStorage(): Storage | null {
  try {
    return window.sessionStorage;
  } catch {
    return null; // forbidden by the browser's settings
  }
}
