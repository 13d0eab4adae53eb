/** How rendered markdown looks. */
import { css } from "lit";

export const markdownStyles = css`
  :host { display: block; color: inherit; line-height: 1.65; overflow-wrap: anywhere; }
  .body > :first-child { margin-top: 0; }
  .body > :last-child { margin-bottom: 0; }
  p, ul, ol, blockquote, figure, .table { margin: 0 0 0.9em; }
  h3, h4, h5, h6 { margin: 1.5em 0 0.5em; line-height: 1.3; font-size: 1rem; font-weight: 650; text-wrap: balance; }
  h3.first { font-size: 1.375rem; letter-spacing: -0.01em; }
  h4.second { font-size: 1.125rem; }
  ul, ol { padding-left: 1.5em; }
  li { margin: 0.25em 0; }
  li > ul, li > ol { margin: 0.25em 0; }
  li::marker { color: var(--ai-muted); }
  li.task { list-style: none; margin-left: -1.4em; }
  li.task input { margin: 0 0.5em 0 0; vertical-align: -0.1em; accent-color: var(--ai-accent); }
  a { color: var(--ai-accent); text-underline-offset: 0.18em; text-decoration-thickness: 1px; }
  a:hover { color: var(--ai-accent-hover); text-decoration-thickness: 2px; }
  .dead-link { text-decoration: underline dotted; text-underline-offset: 0.18em; }
  .image { font-size: 0.9em; }
  blockquote { padding: 0 0 0 1em; border-left: 3px solid var(--ai-line); color: var(--ai-muted); }
  hr { border: 0; border-top: 1px solid var(--ai-line); margin: 1.6em 0; }
  .literal { white-space: pre-wrap; font-family: var(--ai-mono); font-size: 0.875em; }
  code { font-family: var(--ai-mono); font-size: 0.875em; }
  :not(pre) > code {
    padding: 0.12em 0.36em; border-radius: 5px; background: var(--ai-sunken); border: 1px solid var(--ai-line);
    -webkit-box-decoration-break: clone; box-decoration-break: clone;
  }
  .code { border: 1px solid var(--ai-line); border-radius: 10px; background: var(--ai-sunken); overflow: hidden; }
  .code figcaption {
    display: flex; align-items: center; justify-content: space-between; padding: 0.2rem 0.35rem 0.2rem 0.85rem;
    color: var(--ai-muted); font-size: 0.75rem; border-bottom: 1px solid var(--ai-line);
  }
  .code button {
    display: inline-flex; align-items: center; gap: 0.3rem; min-height: 1.75rem; padding: 0 0.5rem;
    border-radius: 6px; font-size: 0.75rem; color: var(--ai-muted);
  }
  .code button:hover { color: var(--ai-text); background: var(--ai-line); }
  pre {
    margin: 0; padding: 0.8rem 0.9rem; overflow-x: auto; line-height: 1.55; tab-size: 4;
    scrollbar-width: thin; overflow-wrap: normal;
  }
  pre:focus-visible, .table:focus-visible { outline-offset: -2px; }
  .c-keyword { color: var(--ai-c-keyword); }
  .c-string { color: var(--ai-c-string); }
  .c-number { color: var(--ai-c-number); }
  .c-name { color: var(--ai-c-name); }
  .c-comment { color: var(--ai-c-comment); font-style: italic; }
  .table { overflow-x: auto; border: 1px solid var(--ai-line); border-radius: 10px; }
  table { border-collapse: collapse; width: 100%; font-size: 0.9375em; line-height: 1.5; }
  th, td { padding: 0.5em 0.8em; text-align: left; vertical-align: top; overflow-wrap: normal; }
  th { background: var(--ai-sunken); font-weight: 600; white-space: nowrap; }
  tbody tr + tr td, thead + tbody tr:first-child td { border-top: 1px solid var(--ai-line); }
  .center { text-align: center; }
  .right { text-align: right; }
`;
