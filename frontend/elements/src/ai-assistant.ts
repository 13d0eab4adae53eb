/** `<ai-assistant>`: the list of chats beside the chat. What a host adds is its address bar, a brand, an account. */
import {
  type AssistantClient,
  ChatSession,
  Conversations,
  type KeyValue,
  type ModelInfo,
} from "@ai-assistant/client";
import { html, LitElement, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { AiChat } from "./ai-chat.ts";
import "./ai-chat.ts";
import "./ai-conversation-list.ts";
import { assistantStyles } from "./assistant-styles.ts";
import { menuIcon, newIcon } from "./icons.ts";
import { recall, remember } from "./memory.ts";
import { t } from "./strings.ts";
import { baseStyles } from "./theme.ts";

/** The host's address should name this conversation (null: a new chat); `replace` adds no step to the history. */
export interface RouteDetail {
  conversation: string | null;
  replace: boolean;
}

@customElement("ai-assistant")
export class AiAssistant extends LitElement {
  static override styles = [baseStyles, assistantStyles];

  /** Connected by whoever made it. Set once, before the element enters the document. */
  @property({ attribute: false }) client!: AssistantClient;
  /** Remembers a running question across a reload of this tab. */
  @property({ attribute: false }) storage: KeyValue | null = null;
  @property({ attribute: false }) suggestions: readonly string[] = [];
  /** What the narrow layout says above a chat without a title. */
  @property() name = t("AI Assistant");
  /** The address of a conversation, for opening it in another tab. */
  @property({ attribute: false }) href: (conversation: string) => string = (it) =>
    `#/c/${encodeURIComponent(it)}`;

  @state() private models: readonly ModelInfo[] | null = null;
  @state() private model = "";
  @state() private current = "";
  @state() private menuOpen = false;
  @query("ai-chat") private chat!: AiChat;
  #session!: ChatSession;
  #list!: Conversations;
  #stored = { name: "", title: "" };
  #told = "";
  #undo: (() => void)[] = [];

  override connectedCallback(): void {
    super.connectedCallback();
    this.#session = new ChatSession(this.client, { storage: this.storage });
    this.#list = new Conversations(this.client.api, () => this.requestUpdate());
    this.#undo = [
      this.client.onTask((task) => task.phase === "ended" && void this.#list.refresh()),
      () => this.#session.dispose(),
    ];
    this.refresh();
  }

  override disconnectedCallback(): void {
    for (const undo of this.#undo.splice(0)) undo();
    super.disconnectedCallback();
  }

  /** Name of the conversation that is shown; null for a new chat that has no name yet. */
  get conversation(): string | null {
    return this.current || null;
  }

  /** Shows what the address names at the start; without a name, what this tab was doing before a reload. */
  begin(conversation: string | null): void {
    if (conversation) void this.#session.open(conversation);
    else this.#session.restore();
  }

  /** Shows a conversation, or an empty new chat. */
  show(conversation: string | null): void {
    const { snapshot } = this.#session;
    if (conversation) void this.#session.open(conversation);
    else if (snapshot.turns.length || snapshot.conversation) this.#session.clear();
    this.focus();
  }

  /** Reads the list and the models again. */
  refresh(): void {
    void this.#list.refresh();
    void this.#loadModels();
  }

  /** On a touch screen the keyboard would cover the page; there the person taps first. */
  override focus(): void {
    if (matchMedia("(pointer: fine)").matches) this.chat?.focus();
  }

  protected override firstUpdated(): void {
    this.focus();
  }

  protected override render() {
    return html`
      <div class="frame ${this.menuOpen ? "menu-open" : ""}" @keydown=${this.#onKey}>
        <aside id="menu">
          <button class="skip" @click=${() => this.chat.focus()}>${t("Skip to the chat")}</button>
          <slot name="brand"></slot>
          <ai-conversation-list .items=${this.#list.items} .current=${this.current} ?loading=${this.#list.loading}
            .problem=${this.#list.problem} ?more=${this.#list.more} .href=${this.href}
            @ai-new=${() => this.#go(null)} @ai-open=${this.#onOpen} @ai-rename=${this.#onRename}
            @ai-delete=${this.#onDelete} @ai-search=${this.#onSearch}
            @ai-more=${() => this.#list.older()}></ai-conversation-list>
          <slot name="account"></slot>
        </aside>
        <div class="shade" @click=${() => this.#menu(false)}></div>
        <main>
          ${this.#topBar()}
          <ai-chat .session=${this.#session} .models=${this.models ?? []} .model=${this.model}
            .suggestions=${this.suggestions} @ai-conversation=${this.#onConversation} @ai-model=${this.#onModel}>
            <slot name="notice" slot="notice"></slot>
            ${this.models?.length === 0 ? html`<slot name="no-models" slot="notice"></slot>` : nothing}
            <slot name="footer" slot="footer"></slot>
          </ai-chat>
        </main>
      </div>
    `;
  }

  #topBar() {
    return html`
      <div class="top">
        <button class="icon" aria-label=${t("Chats")} aria-expanded=${this.menuOpen} aria-controls="menu"
          @click=${() => this.#menu(!this.menuOpen)}>${menuIcon}</button>
        <strong>${this.#heading() || this.name}</strong>
        <button class="icon" aria-label=${t("New chat")} @click=${() => this.#go(null)}>${newIcon}</button>
      </div>
    `;
  }

  /** The list knows the newest title; before it is there, the conversation itself does. */
  #heading(): string {
    const listed = this.#list.items.find((it) => it.name === this.current)?.title;
    return listed ?? (this.#stored.name === this.current ? this.#stored.title : "");
  }

  protected override updated(): void {
    const title = this.#heading();
    if (title === this.#told) return;
    this.#told = title;
    this.#emit("ai-heading", { title });
  }

  async #loadModels(): Promise<void> {
    try {
      this.models = await this.client.api.getModels();
    } catch {
      return; // without a list the server's default answers, and the picker is not shown
    }
    const chosen = this.model || recall("model");
    const known = this.models.find((it) => it.name === chosen) ?? this.models.find((it) => it.is_default);
    this.model = (known ?? this.models[0])?.name ?? "";
  }

  /** A person chose what to see. */
  #go(conversation: string | null): void {
    this.#route(conversation, false);
    this.show(conversation);
    this.#menu(false);
  }

  #route(conversation: string | null, replace: boolean): void {
    this.#emit("ai-route", { conversation, replace });
  }

  /** The chat tells which conversation it shows; a new one gets its name with its first event. */
  #onConversation(event: CustomEvent<{ conversation: string | null; title: string }>): void {
    const { conversation, title } = event.detail;
    this.current = conversation ?? "";
    if (conversation) this.#route(conversation, true);
    this.#stored = { name: this.current, title };
    const { running, turns } = this.#session.snapshot;
    if (conversation && running) this.#list.begin(conversation, turns.at(0)?.content ?? "");
  }

  #onOpen(event: CustomEvent<{ name: string }>): void {
    this.#go(event.detail.name);
  }

  #onRename(event: CustomEvent<{ name: string; title: string }>): void {
    void this.#list.rename(event.detail.name, event.detail.title);
  }

  async #onDelete(event: CustomEvent<{ name: string }>): Promise<void> {
    const { name } = event.detail;
    if ((await this.#list.delete(name)) && name === this.current) this.#go(null);
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

  #emit(name: string, detail: object): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

/** This tab's storage, or null where the browser's settings forbid it. */
export function tabStorage(): Storage | null {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}
