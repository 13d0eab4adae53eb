/** The page's mark: a thought, and the lines that come out of it. */
import { html, svg } from "lit";

export const mark = html`<svg class="mark" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2"
  stroke-linecap="round" aria-hidden="true">${svg`<circle cx="6.500" cy="12" r="3" fill="currentColor" stroke="none"/><path d="M13 7h8M13 12h6M13 17h3.500"/>`}</svg>`;
