/** How traces look: the figures, the tree. */
import { css } from "lit";

/** The colour of a status, for a dot and its word. */
export const statusStyles = css`
  .status { display: inline-flex; align-items: center; gap: 0.4rem; white-space: nowrap; }
  .status::before { content: ""; flex: none; width: 0.5rem; height: 0.5rem; border-radius: 50%; background: var(--dot); }
  .status { --dot: var(--ai-line-strong); }
  .status.completed { --dot: var(--ai-good, #2e9e5b); }
  .status.running { --dot: var(--ai-busy, #2f7ad1); }
  .status.failed { --dot: var(--ai-danger); color: var(--ai-danger); }
  .status.interrupted { --dot: var(--ai-think); }
`;

export const figuresStyles = css`
  :host { display: block; padding-bottom: 0.9rem; }
  dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: 0.9rem 1.25rem; margin: 0; }
  dt { margin: 0; color: var(--ai-muted); font-size: 0.75rem; font-weight: 400; }
  dd { margin: 0.1rem 0 0; font-size: 0.9375rem; font-weight: 550; font-variant-numeric: tabular-nums;
    overflow-wrap: anywhere; }
  dd small { display: block; color: var(--ai-muted); font-size: 0.75rem; font-weight: 400; }
  .bad { color: var(--ai-danger); }
  ul { display: flex; flex-wrap: wrap; gap: 0.35rem; margin: 0.9rem 0 0; padding: 0; list-style: none; }
  li { padding: 0.1rem 0.55rem; border-radius: 99px; background: var(--ai-sunken); color: var(--ai-muted);
    font-size: 0.75rem; overflow-wrap: anywhere; }
`;

export const treeStyles = css`
  :host { display: block; container-type: inline-size; padding-bottom: 0.9rem; }
  ol.closed { --buttons: 0; }
  ol { margin: 0; padding: 0; list-style: none; border: 1px solid var(--ai-line); border-radius: 10px; overflow: hidden; }
  li { display: grid; align-items: center; gap: 0 0.75rem; padding: 0 0.75rem;
    grid-template-columns: minmax(8rem, 1fr) var(--buttons, 13.5rem) minmax(3rem, 13%) 4rem 8.5rem 5.75rem;
    font-size: 0.8125rem; border-top: 1px solid var(--ai-line); content-visibility: auto; contain-intrinsic-size: auto 2.25rem; }
  li:first-child { border-top: 0; }
  li:hover { background: var(--ai-sunken); }
  .name { display: flex; align-items: center; gap: 0.45rem; min-width: 0; min-height: 2.25rem; align-self: stretch; }
  .rails { flex: none; align-self: stretch; width: calc(var(--depth) * 1.1rem);
    background: repeating-linear-gradient(to right, transparent 0 0.5rem, var(--ai-line-strong) 0.5rem calc(0.5rem + 1px),
      transparent calc(0.5rem + 1px) 1.1rem); opacity: 0.45; }
  .icon { display: inline-flex; }
  .name svg { color: var(--ai-muted); }
  .generation svg { color: var(--ai-accent); }
  a { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: inherit; font-weight: 550;
    text-decoration: none; }
  a:hover { text-decoration: underline; }
  .deep { flex: none; color: var(--ai-muted); font-size: 0.75rem; }
  small { display: block; overflow: hidden; text-overflow: ellipsis; font-size: 0.6875rem; line-height: 1.1; }
  .buttons { display: flex; gap: 0.25rem; }
  .buttons button { padding: 0 0.5rem; min-height: 1.5rem; border: 1px solid var(--ai-line); border-radius: 6px;
    color: var(--ai-muted); font-size: 0.75rem; background: var(--ai-surface); }
  .buttons button:hover { color: var(--ai-text); border-color: var(--ai-line-strong); }
  .buttons .reasoning { background: var(--ai-think-soft); color: var(--ai-think-text); border-color: var(--ai-think); }
  .buttons .cut { border-style: dashed; }
  .bar { position: relative; height: 0.5rem; border-radius: 3px; background: var(--ai-sunken); }
  .bar i { position: absolute; top: 0; bottom: 0; left: var(--from); width: max(3px, var(--width)); max-width: calc(100% - var(--from));
    border-radius: 3px; background: var(--ai-busy, #2f7ad1); }
  .failed .bar i { background: var(--ai-danger); }
  .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
  .muted { color: var(--ai-muted); }
  .error { grid-column: 1 / -1; margin: 0 0 0.45rem calc(var(--depth) * 1.1rem + 1.45rem); color: var(--ai-danger);
    overflow-wrap: anywhere; white-space: pre-line; display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical;
    overflow: hidden; }
  .more { display: flex; align-items: center; gap: 0.75rem; margin: 0.6rem 0 0; font-size: 0.8125rem; color: var(--ai-muted); }
  .more .quiet { border: 1px solid var(--ai-line); }
  .hint { margin: 0; color: var(--ai-muted); font-size: 0.875rem; }
  .hint.bad { color: var(--ai-danger); }
  @container (max-width: 48rem) {
    li { grid-template-columns: minmax(0, 1fr) auto 4.5rem; padding-bottom: 0.35rem; }
    .bar, .tokens { display: none; }
    .status { grid-row: 1; grid-column: 2; }
    .number { grid-row: 1; grid-column: 3; }
    .buttons { grid-column: 1 / -1; margin-left: calc(var(--depth) * 1.1rem + 1.45rem); }
  }
`;
