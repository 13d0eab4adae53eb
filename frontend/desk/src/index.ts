/** What the Desk's forms and the page AI Chat use: `frappe.ai_assistant`. */
import "@ai-assistant/elements";
import { setTranslator } from "@ai-assistant/elements";
import "./ai-model-test.ts";
import type { AiModelTest } from "./ai-model-test.ts";
import { DeskChat } from "./chat.ts";
import { deskClient } from "./client.ts";
import type { DeskPage } from "./frappe.ts";
import { installDeskTheme } from "./theme.ts";
import { showTrace } from "./trace.ts";
import "./trace-dead-letters.ts";
import type { AiDeadLetters } from "./trace-dead-letters.ts";
import { showObservation } from "./trace-observation.ts";
import { showMessage, showTranscript } from "./transcript.ts";

/** An element that asks `model` when its `run` is called. */
function modelTest(model: string): AiModelTest {
  const element = document.createElement("ai-model-test") as AiModelTest;
  element.client = deskClient();
  element.model = model;
  return element;
}

/** An element that lists dead letters when its `load` is called. */
function deadLetters(): AiDeadLetters {
  const element = document.createElement("ai-dead-letters") as AiDeadLetters;
  element.client = deskClient();
  return element;
}

setTranslator((text, values) => __(text, values));
installDeskTheme();
frappe.ai_assistant = {
  openChat: (page: DeskPage) => new DeskChat(page),
  modelTest,
  showTranscript,
  showMessage,
  showTrace,
  showObservation,
  deadLetters,
};
