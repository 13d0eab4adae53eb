/** `<ai-conversation-list>`: the chats so far; new, search, rename, delete. */
import type { ConversationInfo } from "@ai-assistant/client";
import { html, LitElement, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { groupByAge } from "./ages.ts";
import { editIcon, newIcon, searchIcon, trashIcon } from "./icons.ts";
import { listStyles } from "./list-styles.ts";
import { t } from "./strings.ts";
import { baseStyles, scrollStyles } from "./theme.ts";

const SEARCH_PAUSE_MS = 250;

@customElement("ai-conversation-list")
export class AiConversationList extends LitElement {
  static override styles = [baseStyles, scrollStyles, listStyles];

  @property({ attribute: false }) items: readonly ConversationInfo[] = [];
  /** Name of the conversation that is shown. */
  @property() current = "";
  @property({ type: Boolean }) loading = false;
  @property() problem = "";
  /** The address of a conversation, for opening it in another tab. */
  @property({ attribute: false }) href: (conversation: string) => string = (it) =>
    `#/c/${encodeURIComponent(it)}`;
  /** More can be asked for with `ai-more`. */
  @property({ type: Boolean }) more = false;

  @state() private renaming = "";
  @state() private deleting: ConversationInfo | null = null;
  @state() private searched = "";
  @query("dialog") private dialog!: HTMLDialogElement;
  #pause: ReturnType<typeof setTimeout> | undefined;

  protected override render() {
    return html`
      <button type="button" class="new" @click=${() => this.#emit("ai-new")}>${newIcon}<span>${t("New chat")}</span></button>
      <label class="search">${searchIcon}<span class="visually-hidden">${t("Search chats")}</span>
        <input type="search" placeholder=${t("Search chats")} @input=${this.#search}></label>
      <nav class="scroll" aria-label=${t("Chats")}>${this.#groups()}</nav>
      ${this.#confirmation()}
    `;
  }

  #groups() {
    if (this.problem) return html`<p class="empty">${t(this.problem)}</p>`;
    if (!this.items.length) return html`<p class="empty">${this.#emptyWords()}</p>`;
    return html`
      ${repeat(
        groupByAge(this.items, new Date()),
        ([title]) => title,
        ([title, items]) => html`
          <h2>${t(title)}</h2>
          <ul>${repeat(
            items,
            (it) => it.name,
            (it) => this.#row(it),
          )}</ul>
        `,
      )}
      ${this.more ? html`<button type="button" class="quiet" @click=${() => this.#emit("ai-more")}>${t("Show older")}</button>` : nothing}
    `;
  }

  #emptyWords(): string {
    if (this.loading) return t("Loading…");
    return this.searched ? t("Nothing found.") : t("Your chats will be listed here.");
  }

  #row(item: ConversationInfo) {
    if (this.renaming === item.name) return html`<li>${this.#renameForm(item)}</li>`;
    const current = item.name === this.current;
    return html`
      <li class=${current ? "current" : ""} data-name=${item.name}>
        <a href=${this.href(item.name)} aria-current=${current ? "page" : nothing} title=${item.title}
          @click=${(event: Event) => this.#open(event, item)}>${item.title || t("Untitled")}</a>
        <span class="actions">
          <button type="button" aria-label=${t("Rename {0}", item.title)} title=${t("Rename")}
            @click=${() => this.#beginRename(item)}>${editIcon}</button>
          <button type="button" aria-label=${t("Delete {0}", item.title)} title=${t("Delete")}
            @click=${() => this.#askDelete(item)}>${trashIcon}</button>
        </span>
      </li>
    `;
  }

  #renameForm(item: ConversationInfo) {
    return html`<form @submit=${(event: Event) => this.#rename(event, item)}>
      <input class="rename" aria-label=${t("New title")} .value=${item.title} maxlength="140"
        @keydown=${this.#renameKey} @blur=${(event: Event) => this.#rename(event, item)}>
    </form>`;
  }

  #confirmation() {
    return html`
      <dialog aria-labelledby="delete-title" @close=${() => this.#deleteClosed()}>
        <form method="dialog">
          <h3 id="delete-title">${t("Delete this chat?")}</h3>
          <p>${t("“{0}” and its messages will be gone for good.", this.deleting?.title ?? "")}</p>
          <div class="buttons">
            <button value="cancel" class="plain">${t("Keep")}</button>
            <button value="delete" class="danger">${t("Delete")}</button>
          </div>
        </form>
      </dialog>
    `;
  }

  #open(event: Event, item: ConversationInfo): void {
    const { ctrlKey, metaKey, shiftKey } = event as MouseEvent;
    if (ctrlKey || metaKey || shiftKey) return;
    event.preventDefault();
    this.#emit("ai-open", { name: item.name });
  }

  async #beginRename(item: ConversationInfo): Promise<void> {
    this.renaming = item.name;
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLInputElement>(".rename")?.select();
  }

  #rename(event: Event, item: ConversationInfo): void {
    event.preventDefault();
    if (this.renaming !== item.name) return;
    const title = this.renderRoot.querySelector<HTMLInputElement>(".rename")?.value.trim() ?? "";
    this.renaming = "";
    if (event.type === "submit") void this.#focusRow(item.name);
    if (title && title !== item.title) this.#emit("ai-rename", { name: item.name, title });
  }

  #renameKey(event: KeyboardEvent): void {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    const name = this.renaming;
    this.renaming = "";
    void this.#focusRow(name);
  }

  /** Puts the focus back where the field for the new title was. */
  async #focusRow(name: string): Promise<void> {
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLElement>(`li[data-name="${CSS.escape(name)}"] a`)?.focus();
  }

  async #askDelete(item: ConversationInfo): Promise<void> {
    this.deleting = item;
    await this.updateComplete;
    this.dialog.returnValue = "";
    this.dialog.showModal();
  }

  #deleteClosed(): void {
    const item = this.deleting;
    this.deleting = null;
    if (!item || this.dialog.returnValue !== "delete") return;
    this.renderRoot.querySelector<HTMLElement>(".new")?.focus(); // the row, and what had the focus in it, will be gone
    this.#emit("ai-delete", { name: item.name });
  }

  #search(event: Event): void {
    const text = (event.target as HTMLInputElement).value.trim();
    this.searched = text;
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#emit("ai-search", { text }), SEARCH_PAUSE_MS);
  }

  #emit(name: string, detail: object = {}): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}
