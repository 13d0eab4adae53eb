/** The icons, drawn on a 20 by 20 grid in the colour of the text around them. */
import { html, svg, type TemplateResult } from "lit";

function icon(paths: TemplateResult): TemplateResult {
  return html`<svg viewBox="0 0 20 20" width="16" height="16" fill="none" stroke="currentColor"
    stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${paths}</svg>`;
}

export const copyIcon = icon(
  svg`<rect x="7" y="7" width="9" height="9" rx="2"/><path d="M13 7V5.5A1.5 1.5 0 0 0 11.5 4h-6A1.5 1.5 0 0 0 4 5.5v6A1.5 1.5 0 0 0 5.5 13H7"/>`,
);
export const checkIcon = icon(svg`<path d="m4.5 10.5 3.5 3.5 7.5-8"/>`);
export const sendIcon = icon(svg`<path d="M10 16V4.5M5 9l5-5 5 5"/>`);
export const stopIcon = icon(svg`<rect x="5.5" y="5.5" width="9" height="9" rx="1.8" fill="currentColor"/>`);
export const downIcon = icon(svg`<path d="M10 4v11.5M5 11l5 5 5-5"/>`);
export const chevronIcon = icon(svg`<path d="m7.5 5 5 5-5 5"/>`);
export const retryIcon = icon(svg`<path d="M15.5 10a5.5 5.5 0 1 1-1.7-4M15.5 3.5V7H12"/>`);
export const newIcon = icon(svg`<path d="M10 4.5v11M4.5 10h11"/>`);
export const editIcon = icon(svg`<path d="M12.5 4.5 15.5 7.5 7 16H4v-3zM11 6l3 3"/>`);
export const trashIcon = icon(svg`<path d="M4 6h12M8 6V4.5h4V6M6 6l.7 9.5h6.6L14 6M8.7 9v4M11.3 9v4"/>`);
export const searchIcon = icon(svg`<circle cx="9" cy="9" r="4.5"/><path d="m12.5 12.5 3.5 3.5"/>`);
export const menuIcon = icon(svg`<path d="M4 6.5h12M4 10h12M4 13.5h12"/>`);
export const sunIcon = icon(
  svg`<circle cx="10" cy="10" r="3"/><path d="M10 3v1.5M10 15.5V17M3 10h1.5M15.5 10H17M5 5l1 1M14 14l1 1M15 5l-1 1M6 14l-1 1"/>`,
);
export const moonIcon = icon(svg`<path d="M16 11.5A6.5 6.5 0 0 1 8.500 4a6.500 6.500 0 1 0 7.500 7.500z"/>`);
export const toolIcon = icon(
  svg`<path d="M12.500 4.200a3.800 3.800 0 0 0-3.300 5.400L4 14.800 5.700 16.500l5.100-5.100a3.800 3.800 0 0 0 5.200-4.400l-2.300 2.200-2-.5-.5-2z"/>`,
);
export const alertIcon = icon(
  svg`<path d="M10 6.500v4.200M10 13.500v.1"/><circle cx="10" cy="10" r="6.500"/>`,
);
export const logoutIcon = icon(
  svg`<path d="M8 4H5.500A1.500 1.500 0 0 0 4 5.500v9A1.500 1.500 0 0 0 5.500 16H8M12.500 13.500 16 10l-3.500-3.500M16 10H8"/>`,
);
export const spanIcon = icon(svg`<path d="M4 7h8M4 13h12"/>`);
export const generationIcon = icon(
  svg`<path d="M10 3.500 11.700 8.300 16.500 10 11.700 11.700 10 16.500 8.300 11.700 3.500 10 8.300 8.300z"/>`,
);
export const agentIcon = icon(
  svg`<rect x="4.500" y="7" width="11" height="8.500" rx="2.500"/><path d="M10 7V4.500M8 10.500v1.500M12 10.500v1.500"/>`,
);
export const retrieverIcon = icon(
  svg`<ellipse cx="10" cy="5.500" rx="5.500" ry="2"/><path d="M4.500 5.500v9c0 1.100 2.500 2 5.500 2s5.500-.9 5.500-2v-9M4.500 10c0 1.100 2.500 2 5.500 2s5.500-.9 5.500-2"/>`,
);
export const eventIcon = icon(svg`<circle cx="10" cy="10" r="2.500" fill="currentColor"/>`);
