/** Which addresses a person may follow from a model's text. */

const ALLOWED = new Set(["http:", "https:", "mailto:"]);

/**
 * The address as it may stand in a link, or null. Only whole addresses pass: a relative one would point
 * into the host's own site, and a model has no business there.
 */
export function safeHref(href: string): string | null {
  let url: URL;
  try {
    url = new URL(href);
  } catch {
    return null;
  }
  return ALLOWED.has(url.protocol) ? url.href : null;
}
