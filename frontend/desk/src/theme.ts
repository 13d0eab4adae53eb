/** The Desk's colours and type for our components, and for nothing else on the page. */
import { scopedThemeCss } from "@ai-assistant/elements";

/** Elements that stand in the Desk's own document; those inside them inherit. */
const BLOCKS =
  "ai-model-test, ai-transcript, ai-trace-figures, ai-trace-tree, ai-trace-payload, ai-dead-letters";
const ROOTS = `ai-assistant, ${BLOCKS}`;

/** Where the Desk has a colour it is taken; ours stand behind it, in light and dark. `:root` makes it the stronger rule. */
const DESK = `
  :root :is(${ROOTS}) {
    --ai-font: var(--font-stack, system-ui, sans-serif);
    --ai-bg: var(--fg-color, #fff); --ai-surface: var(--card-bg, #fff); --ai-side: color-mix(in srgb, var(--control-bg, #f3f3f3) 55%, var(--fg-color, #fff));
    --ai-sunken: var(--subtle-fg, #f3f3f3); --ai-bubble: var(--control-bg, #f3f3f3); --ai-line: var(--border-color, #ededed);
    --ai-text: var(--text-color, #383838); --ai-muted: var(--text-muted, #525252);
    --ai-accent: var(--btn-primary, #171717); --ai-on-accent: var(--fg-color, #fff);
    --ai-accent-hover: color-mix(in srgb, var(--ai-accent) 82%, var(--ai-bg)); --ai-accent-soft: var(--control-bg, #f3f3f3);
    --ai-shadow: 0 1px 2px #0000000d, 0 4px 16px #00000014;
    font: 400 1rem/1.5 var(--ai-font); letter-spacing: normal; text-align: start; color: var(--ai-text);
  }
  :root :is(${BLOCKS}) { --ai-bg: transparent; display: block; }
`;

/** Gives the Desk's document the styles. */
export function installDeskTheme(): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(scopedThemeCss(ROOTS) + DESK);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}
