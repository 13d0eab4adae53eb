/**
 * Writes `ai_assistant/public/js/strings.js`: every text of the components in the form that Frappe's collectors of
 * translatable strings look for. Nobody loads that file. `npm run strings`, after texts were changed.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, "..", "..", "ai_assistant", "public", "js", "strings.js");
const SOURCES = ["../elements/src", "src"];
/** The client is free of any UI: its few messages are translated where they are shown. */
const MESSAGES = ["../client/src/errors.ts", "../client/src/settle.ts"];

const CALL = /\b(?:t|later)\(\s*("(?:[^"\\]|\\.)*")/g;
const SENTENCE = /"(?:[^"\\\n]|\\.)* (?:[^"\\\n]|\\.)*\."/g;

/** Every text that is translated, sorted. */
export async function translatable(): Promise<string[]> {
  const found = new Set<string>();
  for (const folder of SOURCES) {
    for (const file of await readdir(join(HERE, folder), { recursive: true })) {
      if (!file.endsWith(".ts")) continue;
      for (const match of (await source(join(folder, file))).matchAll(CALL))
        found.add(JSON.parse(match[1] ?? '""'));
    }
  }
  for (const file of MESSAGES)
    for (const match of (await source(file)).matchAll(SENTENCE)) found.add(JSON.parse(match[0]));
  return [...found].sort();
}

/** The file's text. */
export async function rendered(): Promise<string> {
  const lines = (await translatable()).map((text) => `\t__(${JSON.stringify(text)}),`);
  return [
    "// Made by `npm run strings` from frontend/. Never loaded: it is here for those who collect what is translated.",
    "// eslint-disable-next-line no-unused-expressions",
    "[",
    ...lines,
    "];",
    "",
  ].join("\n");
}

/** What stands in the repository. */
export function stored(): Promise<string> {
  return readFile(OUT, "utf8");
}

function source(path: string): Promise<string> {
  return readFile(join(HERE, path), "utf8");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(OUT, await rendered());
