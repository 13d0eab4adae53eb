/** How the page around the chat looks. */
import { css } from "lit";

export const pageStyles = css`
  :host { display: grid; grid-template-columns: 17rem minmax(0, 1fr); height: 100dvh; background: var(--ai-bg); }
  aside { display: flex; flex-direction: column; min-height: 0; padding: 0.75rem; gap: 0.75rem; background: var(--ai-side);
    border-right: 1px solid var(--ai-line); }
  .brand { display: flex; align-items: center; gap: 0.6rem; padding: 0.35rem 0.6rem; font-weight: 650; font-size: 1rem;
    letter-spacing: -0.01em; }
  .mark { width: 1.4rem; height: 1.4rem; color: var(--ai-accent); }
  ai-conversation-list { flex: 1; }
  .account { display: flex; align-items: center; gap: 0.35rem; padding: 0.5rem 0.25rem 0 0.6rem;
    border-top: 1px solid var(--ai-line); font-size: 0.875rem; color: var(--ai-muted); }
  .account span { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .icon { display: grid; place-items: center; width: 2.25rem; height: 2.25rem; border-radius: 9px; color: var(--ai-muted);
    flex: none; }
  .icon:hover { background: var(--ai-bubble); color: var(--ai-text); }
  .icon svg { width: 18px; height: 18px; }
  main { display: flex; flex-direction: column; min-width: 0; min-height: 0; }
  ai-chat { flex: 1; min-height: 0; }
  .top { display: none; align-items: center; gap: 0.5rem; padding: 0.4rem 0.6rem; border-bottom: 1px solid var(--ai-line); }
  .top strong { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 600;
    text-align: center; font-size: 0.9375rem; }
  .demo { margin: 0 0 0.6rem; padding: 0.55rem 0.95rem; border-radius: 12px; background: var(--ai-think-soft);
    color: var(--ai-think-text); font-size: 0.8125rem; line-height: 1.5; }
  .demo code { font-family: var(--ai-mono); font-size: 0.95em; }
  .small { margin: 0.55rem 0 0; text-align: center; font-size: 0.75rem; color: var(--ai-muted); }
  .skip { position: absolute; left: 0.75rem; top: -4rem; padding: 0.5rem 1rem; border-radius: 9px; z-index: 20;
    background: var(--ai-accent); color: var(--ai-on-accent); }
  .skip:focus { top: 0.75rem; }
  .shade { display: none; }
  @media (max-width: 52rem) {
    :host { grid-template-columns: minmax(0, 1fr); }
    .top { display: flex; }
    aside { position: fixed; inset: 0 auto 0 0; width: min(19rem, 86vw); z-index: 10; visibility: hidden;
      transform: translateX(-100%); transition: transform 0.18s ease-out, visibility 0.18s; }
    .menu-open aside { visibility: visible; transform: none; box-shadow: var(--ai-shadow); }
    .menu-open .shade { display: block; position: fixed; inset: 0; z-index: 9; background: #0006; }
    :host > div { min-height: 0; }
  }
  .frame { display: contents; }
`;
