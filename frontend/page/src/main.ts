/** Starts the page. */
import { installTheme } from "@ai-assistant/elements";
import "./ai-login.ts";
import "./ai-page.ts";
import type { AiLogin } from "./ai-login.ts";
import type { AiPage } from "./ai-page.ts";
import { readBoot } from "./boot.ts";

installTheme();
const boot = readBoot();
if (boot.user === "Guest") {
  const login = document.createElement("ai-login") as AiLogin;
  login.site = boot.site;
  document.body.append(login);
} else {
  const page = document.createElement("ai-page") as AiPage;
  page.boot = boot;
  document.body.append(page);
}
