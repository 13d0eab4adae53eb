/** How the list of conversations looks. */
import { css } from "lit";

export const listStyles = css`
  :host { display: flex; flex-direction: column; min-height: 0; gap: 0.5rem; }
  .new { display: flex; align-items: center; gap: 0.6rem; min-height: 2.5rem; padding: 0 0.8rem; border-radius: 10px;
    background: var(--ai-surface); border: 1px solid var(--ai-line); font-weight: 550; font-size: 0.9375rem; }
  .new:hover { border-color: var(--ai-accent); color: var(--ai-accent); }
  .search { display: flex; align-items: center; gap: 0.6rem; padding: 0 0.8rem; color: var(--ai-muted); border-radius: 10px;
    border: 1px solid transparent; }
  .search:focus-within { border-color: var(--ai-accent); background: var(--ai-surface); }
  .search input { flex: 1; min-width: 0; min-height: 2.25rem; font: inherit; font-size: 0.875rem; color: var(--ai-text);
    border: 0; outline: 0; background: none; }
  .search input:focus-visible, .rename:focus-visible { outline: none; }
  .search:has(input:focus-visible) { box-shadow: 0 0 0 1px var(--ai-accent); }
  .search input::placeholder { color: var(--ai-muted); opacity: 1; }
  nav { flex: 1; min-height: 0; margin: 0 -0.25rem; padding: 0 0.25rem; }
  h2 { margin: 1rem 0 0.25rem; padding: 0 0.8rem; font-size: 0.75rem; font-weight: 600; color: var(--ai-muted); }
  ul { list-style: none; margin: 0; padding: 0; }
  li { position: relative; border-radius: 9px; }
  li:hover, li:focus-within { background: var(--ai-bubble); }
  li.current { background: var(--ai-accent-soft); }
  a { display: block; padding: 0.5rem 0.8rem; color: var(--ai-text); text-decoration: none; font-size: 0.9rem;
    line-height: 1.35; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; border-radius: 9px; }
  li.current a { color: var(--ai-accent); font-weight: 550; }
  .actions { position: absolute; inset: 0 0.25rem 0 auto; display: flex; align-items: center; opacity: 0; }
  li:hover .actions, li:focus-within .actions { opacity: 1; }
  li:hover a, li:focus-within a { padding-right: 4.25rem; }
  @media (hover: none) {
    .actions { opacity: 1; }
    li a { padding-right: 4.25rem; }
  }
  .actions button { display: grid; place-items: center; width: 1.9rem; height: 1.9rem; border-radius: 7px;
    color: var(--ai-muted); }
  .actions button:hover { color: var(--ai-text); background: var(--ai-surface); }
  .rename { width: 100%; font: inherit; font-size: 0.9rem; padding: 0.42rem 0.75rem; border-radius: 9px; color: inherit;
    background: var(--ai-surface); border: 1px solid var(--ai-accent); outline: 0; }
  .empty { padding: 0.5rem 0.8rem; color: var(--ai-muted); font-size: 0.875rem; line-height: 1.5; }
  dialog { border: 1px solid var(--ai-line); border-radius: 16px; padding: 1.4rem; background: var(--ai-surface);
    color: var(--ai-text); max-width: 24rem; box-shadow: var(--ai-shadow); }
  dialog::backdrop { background: #0008; }
  dialog h3 { margin: 0; font-size: 1.0625rem; }
  dialog p { margin: 0.5rem 0 1.2rem; color: var(--ai-muted); font-size: 0.9375rem; line-height: 1.5;
    overflow-wrap: anywhere; }
  .buttons { display: flex; justify-content: flex-end; gap: 0.5rem; }
  .buttons button { min-height: 2.35rem; padding: 0 1.1rem; border-radius: 9px; font-size: 0.9375rem; font-weight: 550; }
  .plain { border: 1px solid var(--ai-line); }
  .danger { background: var(--ai-danger); color: var(--ai-surface); }
`;
