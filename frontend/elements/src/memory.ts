/** Choices that the browser keeps. Where storage is forbidden they last until the page is left. */

const PREFIX = "ai_assistant.";

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(PREFIX + key, value);
  } catch {
    // Forbidden or full: the choice holds for this page all the same.
  }
}
