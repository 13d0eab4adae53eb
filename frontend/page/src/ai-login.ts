/** `<ai-login>`: the form for a guest. */
import { ApiError, Http } from "@ai-assistant/client";
import { baseStyles } from "@ai-assistant/elements";
import { css, html, LitElement, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";

@customElement("ai-login")
export class AiLogin extends LitElement {
  static override styles = [
    baseStyles,
    css`
      :host { display: grid; place-items: center; min-height: 100dvh; padding: 1.25rem; background: var(--ai-side); }
      main { width: min(100%, 23rem); }
      form { padding: 2rem; border: 1px solid var(--ai-line); border-radius: 20px;
        background: var(--ai-surface); box-shadow: var(--ai-shadow); display: grid; gap: 1rem; }
      h1 { margin: 0 0 0.25rem; font-size: 1.375rem; font-weight: 600; letter-spacing: -0.02em; }
      label { display: grid; gap: 0.35rem; font-size: 0.875rem; color: var(--ai-muted); }
      input { font: inherit; font-size: 1rem; color: var(--ai-text); min-height: 2.75rem; padding: 0 0.85rem;
        border: 1px solid var(--ai-line-strong); border-radius: 10px; background: var(--ai-bg); }
      input:focus-visible { outline-offset: 0; border-color: var(--ai-accent); border-radius: 10px; }
      button { min-height: 2.75rem; border-radius: 10px; background: var(--ai-accent); color: var(--ai-on-accent);
        font-weight: 600; }
      button:hover { background: var(--ai-accent-hover); }
      button:disabled { opacity: 0.6; }
      p { margin: 0; font-size: 0.875rem; line-height: 1.5; color: var(--ai-muted); }
      .error { color: var(--ai-danger); }
    `,
  ];

  @property() site = "";
  @state() private problem = "";
  @state() private busy = false;
  @query("[name=usr]") private user!: HTMLInputElement;
  @query("[name=pwd]") private password!: HTMLInputElement;

  protected override firstUpdated(): void {
    this.user.focus();
  }

  protected override render() {
    return html`
      <main><form @submit=${this.#submit}>
        <div><h1>Log in</h1><p>${this.site}</p></div>
        <label>User<input name="usr" autocomplete="username" required autocapitalize="none" spellcheck="false"></label>
        <label>Password<input name="pwd" type="password" autocomplete="current-password" required></label>
        ${this.problem ? html`<p class="error" role="alert">${this.problem}</p>` : nothing}
        <button type="submit" ?disabled=${this.busy}>${this.busy ? "Logging in…" : "Log in"}</button>
        <p>On a fresh installation, open the link that the server printed when it started: it logs you in.</p>
      </form></main>
    `;
  }

  async #submit(event: Event): Promise<void> {
    event.preventDefault();
    this.busy = true;
    this.problem = "";
    try {
      await new Http().call("login", { usr: this.user.value.trim(), pwd: this.password.value });
      location.reload(); // the page then comes with the user's own token
    } catch (error) {
      this.busy = false;
      this.problem = words(error);
      this.password.select();
    }
  }
}

function words(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  return error.status === 401 ? "User or password is not right. Check both and try again." : error.message;
}
