/** How the page around the assistant looks. */
import { css } from "lit";

export const pageStyles = css`
  :host { display: block; background: var(--ai-bg); }
  ai-assistant { height: 100dvh; }
  .brand { display: flex; align-items: center; gap: 0.6rem; padding: 0.35rem 0.6rem; font-weight: 650; font-size: 1rem;
    letter-spacing: -0.01em; }
  .mark { width: 1.4rem; height: 1.4rem; color: var(--ai-accent); }
  .account { display: flex; align-items: center; gap: 0.35rem; padding: 0.5rem 0.25rem 0 0.6rem;
    border-top: 1px solid var(--ai-line); font-size: 0.875rem; color: var(--ai-muted); }
  .account span { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .icon { display: grid; place-items: center; width: 2.25rem; height: 2.25rem; border-radius: 9px; color: var(--ai-muted);
    flex: none; }
  .icon:hover { background: var(--ai-bubble); color: var(--ai-text); }
  .icon svg { width: 18px; height: 18px; }
  .demo { margin: 0 0 0.6rem; padding: 0.55rem 0.95rem; border-radius: 12px; background: var(--ai-think-soft);
    color: var(--ai-think-text); font-size: 0.8125rem; line-height: 1.5; }
  .demo code { font-family: var(--ai-mono); font-size: 0.95em; }
  .small { margin: 0.55rem 0 0; text-align: center; font-size: 0.75rem; color: var(--ai-muted); }
`;
