/** How the list of chats and the chat lie side by side. The width of the component decides, not that of the window. */
import { css } from "lit";

export const assistantStyles = css`
  :host { display: block; position: relative; overflow: hidden; container-type: inline-size; background: var(--ai-bg); }
  .frame { display: grid; grid-template-columns: 17rem minmax(0, 1fr); height: 100%; }
  aside { display: flex; flex-direction: column; min-height: 0; padding: 0.75rem; gap: 0.75rem; background: var(--ai-side);
    border-right: 1px solid var(--ai-line); }
  ai-conversation-list { flex: 1; }
  main { display: flex; flex-direction: column; min-width: 0; min-height: 0; }
  ai-chat { flex: 1; min-height: 0; }
  .top { display: none; align-items: center; gap: 0.5rem; padding: 0.4rem 0.6rem; border-bottom: 1px solid var(--ai-line); }
  .top strong { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 600;
    text-align: center; font-size: 0.9375rem; }
  .icon { display: grid; place-items: center; width: 2.25rem; height: 2.25rem; border-radius: 9px; color: var(--ai-muted);
    flex: none; }
  .icon:hover { background: var(--ai-bubble); color: var(--ai-text); }
  .icon svg { width: 18px; height: 18px; }
  .skip { position: absolute; left: 0.75rem; top: -4rem; padding: 0.5rem 1rem; border-radius: 9px; z-index: 20;
    background: var(--ai-accent); color: var(--ai-on-accent); }
  .skip:focus { top: 0.75rem; }
  .shade { display: none; }
  @container (max-width: 52rem) {
    .frame { grid-template: auto / minmax(0, 1fr); }
    .top { display: flex; }
    aside { position: absolute; inset: 0 auto 0 0; width: min(19rem, 86%); z-index: 10; visibility: hidden;
      transform: translateX(-100%); transition: transform 0.18s ease-out, visibility 0.18s; }
    .menu-open aside { visibility: visible; transform: none; box-shadow: var(--ai-shadow); }
    .menu-open .shade { display: block; position: absolute; inset: 0; z-index: 9; background: #0006; }
  }
`;
