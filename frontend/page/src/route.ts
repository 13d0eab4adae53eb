/** The address of a conversation: `#/c/<name>`. */

/** Name of the conversation in the address, or null. */
export function conversationInUrl(): string | null {
  const match = /^#\/c\/(.+)$/.exec(location.hash);
  if (!match?.[1]) return null;
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return null; // an address typed by hand, with a stray percent sign
  }
}

/** Shows a conversation in the address. `replace` adds no step to the history. */
export function showInUrl(conversation: string | null, replace: boolean): void {
  const hash = conversation ? `#/c/${encodeURIComponent(conversation)}` : location.pathname + location.search;
  if (conversationInUrl() === conversation) return;
  if (replace) history.replaceState(null, "", hash);
  else history.pushState(null, "", hash);
}
