/** How questions and answers look. */
import { css } from "lit";

export const messageStyles = css`
  :host { display: block; }
  .question { display: flex; justify-content: flex-end; }
  .bubble { max-width: min(85%, 38rem); padding: 0.65rem 1rem; border-radius: 18px 18px 5px 18px;
    background: var(--ai-bubble); line-height: 1.55; white-space: pre-wrap; overflow-wrap: anywhere; }
  .answer { display: flow-root; }
  ai-reasoning { margin-bottom: 1rem; }
  .aside { border: 1px solid var(--ai-line); border-radius: 10px; background: var(--ai-surface); font-size: 0.875rem; }
  .aside summary { display: flex; align-items: center; justify-content: space-between; gap: 0.5rem;
    padding: 0.5rem 0.75rem; cursor: pointer; color: var(--ai-muted); }
  .aside summary::-webkit-details-marker { display: none; }
  .aside[open] .chevron { transform: rotate(90deg); }
  .aside pre { margin: 0; padding: 0.6rem 0.9rem; border-top: 1px solid var(--ai-line); white-space: pre-wrap;
    overflow-wrap: anywhere; font: 0.8125rem/1.5 var(--ai-mono); max-height: 18rem; overflow: auto; }
  .note { margin: 0.8rem 0 0; color: var(--ai-muted); font-size: 0.9375rem; font-style: italic; }
  .trimmed { margin: 0 0 0.5rem; color: var(--ai-muted); font-size: 0.8125rem; }
  .toggle { font-size: 0.875rem; }
  #earlier { display: grid; gap: 1rem; margin: 0.4rem 0 1rem; padding-left: 1rem; border-left: 3px solid var(--ai-line); }
  .error { display: flex; gap: 0.7rem; margin: 0.8rem 0 0; padding: 0.8rem 1rem; border-radius: 12px;
    background: var(--ai-danger-soft); font-size: 0.9375rem; line-height: 1.5; }
  .error > svg { color: var(--ai-danger); width: 20px; height: 20px; margin-top: 0.1rem; }
  .error strong { color: var(--ai-danger); font-weight: 600; }
  .error p { margin: 0.15rem 0 0.3rem; white-space: pre-line; overflow-wrap: anywhere; }
  .error code { font: 0.75rem var(--ai-mono); color: var(--ai-muted); }
  footer { display: flex; flex-wrap: wrap; align-items: center; gap: 0.15rem 0.3rem; margin: 0.55rem 0 0 -0.5rem;
    min-height: 1.75rem; color: var(--ai-muted); font-size: 0.8125rem; }
  .retry { color: var(--ai-text); border: 1px solid var(--ai-line); background: var(--ai-surface); padding: 0 0.65rem;
    margin: 0 0.25rem 0 0.5rem; }
  .usage { display: flex; flex-wrap: wrap; padding-left: 0.5rem; font-variant-numeric: tabular-nums; }
  .usage > span + span::before { content: "·"; margin: 0 0.45rem; }
`;
