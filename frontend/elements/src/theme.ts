/**
 * Colours and type as custom properties. A host that has its own look (the Desk, VSCode) sets the same
 * properties instead of calling `installTheme`. Every pair of text and ground has a contrast of 4.5 or more.
 */
import { css, unsafeCSS } from "lit";

const LIGHT = `
  --ai-bg: #fdfdfb; --ai-side: #f5f4ef; --ai-surface: #ffffff; --ai-sunken: #f3f2ec; --ai-bubble: #eceee7;
  --ai-line: #e3e1d8; --ai-line-strong: #8b8f86; --ai-text: #1d2321; --ai-muted: #5c6561;
  --ai-accent: #0b6b5d; --ai-accent-hover: #085347; --ai-on-accent: #ffffff; --ai-accent-soft: #e0f0ec;
  --ai-think: #d8a21a; --ai-think-soft: #fdf7e3; --ai-think-text: #6a5110;
  --ai-danger: #a8221a; --ai-danger-soft: #fcecea; --ai-shadow: 0 1px 2px #1d23210d, 0 8px 28px #1d232112;
  --ai-c-keyword: #8a2f6d; --ai-c-string: #2b6a2f; --ai-c-number: #8a4a08; --ai-c-name: #1f5a99; --ai-c-comment: #66706b;
  color-scheme: light;
`;

const DARK = `
  --ai-bg: #151817; --ai-side: #101312; --ai-surface: #1d2120; --ai-sunken: #101312; --ai-bubble: #262c2a;
  --ai-line: #2c3230; --ai-line-strong: #6f7a75; --ai-text: #e7ebe9; --ai-muted: #9da8a3;
  --ai-accent: #63d2bd; --ai-accent-hover: #86e2d0; --ai-on-accent: #05231d; --ai-accent-soft: #17332d;
  --ai-think: #c99b2c; --ai-think-soft: #221e12; --ai-think-text: #e8d294;
  --ai-danger: #ff9d94; --ai-danger-soft: #341c19; --ai-shadow: 0 1px 2px #0006, 0 10px 32px #0007;
  --ai-c-keyword: #e29ac8; --ai-c-string: #9fd39a; --ai-c-number: #e7b573; --ai-c-name: #8dbdf0; --ai-c-comment: #8a948f;
  color-scheme: dark;
`;

const COMMON = `
  --ai-font: system-ui, -apple-system, "Segoe UI", "Noto Sans", "Helvetica Neue", Arial, sans-serif;
  --ai-mono: ui-monospace, "SF Mono", "Cascadia Code", "Noto Sans Mono", "DejaVu Sans Mono", Menlo, monospace;
  --ai-width: 46rem;
`;

/** The theme as CSS: follows the system, unless `data-theme` on the root element says otherwise. */
export const themeCss = `
  :root { ${COMMON} ${LIGHT} }
  :root[data-theme="dark"] { ${DARK} }
  @media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { ${DARK} } }
`;

/**
 * The theme for the elements that a selector names, and for nothing around them. Dark where the root element says
 * `data-theme="dark"`.
 */
export function scopedThemeCss(selector: string): string {
  return `:is(${selector}) { ${COMMON} ${LIGHT} } [data-theme="dark"] :is(${selector}) { ${DARK} }`;
}

/** Gives a document the theme. */
export function installTheme(target: Document = document): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(themeCss);
  target.adoptedStyleSheets = [...target.adoptedStyleSheets, sheet];
}

/** What every component needs: sizes, buttons, focus. */
export const baseStyles = css`
  :host { font-family: var(--ai-font); color: var(--ai-text); }
  *, *::before, *::after { box-sizing: border-box; }
  [hidden] { display: none !important; }
  button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
  button:disabled { cursor: default; }
  :focus-visible { outline: 2px solid var(--ai-accent); outline-offset: 2px; border-radius: 6px; }
  .visually-hidden {
    position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden;
    clip-path: inset(50%); white-space: nowrap;
  }
  .quiet {
    display: inline-flex; align-items: center; gap: 0.35rem; min-height: 1.75rem; padding: 0 0.5rem;
    border-radius: 7px; color: var(--ai-muted); font-size: 0.8125rem;
  }
  .quiet:hover { background: var(--ai-sunken); color: var(--ai-text); }
  svg { flex: none; }
  @media (prefers-reduced-motion: reduce) {
    *, *::before, *::after { animation: none !important; transition: none !important; }
  }
`;

/** Thin scrollbars in the colours of the theme. */
export const scrollStyles = css`
  .scroll { overflow: auto; scrollbar-width: thin; scrollbar-color: ${unsafeCSS("var(--ai-line-strong)")} transparent; }
`;

/** A line of text that unfolds what follows it. */
export const toggleStyles = css`
  .toggle { display: inline-flex; align-items: center; gap: 0.5rem; min-height: 1.75rem; color: var(--ai-muted);
    font-size: 0.9375rem; border-radius: 7px; padding: 0 0.4rem; margin-left: -0.4rem; }
  .toggle:hover { color: var(--ai-text); }
  .chevron { display: inline-flex; transition: transform 0.15s; }
  [aria-expanded="true"] .chevron { transform: rotate(90deg); }
`;
