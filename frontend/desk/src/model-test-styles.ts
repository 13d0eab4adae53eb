/** How the test of a model looks. */
import { css } from "lit";

export const modelTestStyles = css`
  :host { display: block; min-height: 9rem; }
  .question { margin: 0 0 1rem; color: var(--ai-muted); font-size: 0.875rem; }
  .answer { display: grid; gap: 0.75rem; font-size: 0.9375rem; }
  dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 0.9rem 1.25rem; margin: 1.25rem 0 0;
    padding: 0.9rem 0 0; border-top: 1px solid var(--ai-line); }
  dt { margin: 0; color: var(--ai-muted); font-size: 0.75rem; font-weight: 400; }
  dd { margin: 0.1rem 0 0; font-size: 0.9375rem; font-weight: 550; font-variant-numeric: tabular-nums;
    overflow-wrap: anywhere; }
  .error, .hint { margin: 0; padding: 0.8rem 1rem; border-radius: 10px; font-size: 0.9375rem; line-height: 1.5;
    overflow-wrap: anywhere; }
  .error { background: var(--ai-danger-soft); }
  .error strong { color: var(--ai-danger); }
  .error p { margin: 0.15rem 0 0.3rem; white-space: pre-line; }
  .hint { background: var(--ai-think-soft); color: var(--ai-think-text); }
  ul { margin: 0; padding-left: 1.1rem; color: var(--ai-muted); font-size: 0.875rem; }
  code { font: 0.8125rem var(--ai-mono); color: inherit; }
`;
