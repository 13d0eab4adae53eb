/** How the conversation as a whole looks. */
import { css } from "lit";

export const chatStyles = css`
  :host { display: grid; grid-template-rows: minmax(0, 1fr) auto; min-height: 0; height: 100%; background: var(--ai-bg); }
  .thread { padding: 1.5rem 1.25rem 0; outline: 0; overflow-anchor: none; }
  .content { max-width: var(--ai-width); margin: 0 auto; padding-bottom: 2.5rem; display: flex; flex-direction: column;
    gap: 1.6rem; }
  .thread.empty { display: grid; place-items: center; }
  .welcome { text-align: center; padding: 1rem; }
  h1 { margin: 0 0 1.6rem; font-size: clamp(1.5rem, 4.5vw, 2.1rem); font-weight: 600; letter-spacing: -0.025em;
    line-height: 1.2; text-wrap: balance; }
  .suggestions { display: flex; flex-wrap: wrap; justify-content: center; gap: 0.6rem; max-width: 38rem; }
  .suggestions button { padding: 0.55rem 0.95rem; border: 1px solid var(--ai-line); border-radius: 99px;
    color: var(--ai-muted); background: var(--ai-surface); font-size: 0.9rem; line-height: 1.35; }
  .suggestions button:hover { border-color: var(--ai-accent); color: var(--ai-text); }
  .suggestions button:focus-visible { border-radius: 99px; }
  .hint { color: var(--ai-muted); text-align: center; }
  .dock { position: relative; width: 100%; max-width: calc(var(--ai-width) + 2.5rem); margin: 0 auto;
    padding: 0 1.25rem 0.75rem; }
  .dock::before { content: ""; position: absolute; inset: -2rem 0 calc(100% + 2px); pointer-events: none;
    background: linear-gradient(transparent, var(--ai-bg)); }
  .float { position: absolute; inset: auto 1.25rem 100%; display: grid; justify-items: center; gap: 0.5rem;
    padding-bottom: 0.6rem; pointer-events: none; z-index: 1; }
  .float > * { pointer-events: auto; }
  .jump { display: grid; place-items: center; width: 2.25rem; height: 2.25rem; border-radius: 50%;
    border: 1px solid var(--ai-line); background: var(--ai-surface); box-shadow: var(--ai-shadow); color: var(--ai-text); }
  .jump:hover { border-color: var(--ai-accent); color: var(--ai-accent); }
  .jump:focus-visible { border-radius: 50%; }
  .problem { margin: 0 0 0.5rem; padding: 0.5rem 0.9rem; border-radius: 10px; background: var(--ai-danger-soft);
    color: var(--ai-danger); font-size: 0.875rem; }
  @media (max-width: 40rem) {
    .thread { padding: 1rem 1rem 0; }
    .dock { padding: 0 0.6rem 0.6rem; }
  }
`;
