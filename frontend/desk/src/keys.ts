/** Keys that are typed into our components are not the Desk's. */

/**
 * Keeps plain keys inside an element. The Desk's shortcuts look for an input that has the focus, and cannot see one
 * in a shadow root: they would take a letter for a command. Combinations with Ctrl, Alt or Meta go on to the Desk.
 */
export function keepKeys(element: HTMLElement): void {
  element.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.altKey && !event.metaKey && isTyping(event)) event.stopPropagation();
  });
}

function isTyping(event: Event): boolean {
  const target = event.composedPath()[0];
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
}
