/** Runs before the page is drawn: the chosen theme is there from the first frame on. */
try {
  const chosen = localStorage.getItem("ai_assistant.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is forbidden: the system's choice stands.
}
