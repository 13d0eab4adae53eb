/** Builds the page into `ai_assistant/public/page/`: hashed files and the index.html that names them. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { context } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, "..", "..", "ai_assistant", "public", "page");
/** Where the host serves the files. */
const PUBLIC_PATH = "/assets/ai_assistant/page/";
const watch = process.argv.includes("--watch");

const ENTRIES = { main: "main.ts", early: "theme-early.ts", css: "page.css", favicon: "favicon.svg" };

/** Writes index.html with the names that the files were given. */
const writeIndex = {
  name: "index",
  setup(build) {
    build.onEnd(async ({ metafile, errors }) => {
      if (errors.length || !metafile) return;
      let html = await readFile(join(HERE, "src", "index.html"), "utf8");
      for (const [key, source] of Object.entries(ENTRIES)) {
        html = html.replace(`{{${key}}}`, PUBLIC_PATH + basename(builtName(metafile, source)));
      }
      await writeFile(join(OUT, "index.html"), html);
      report(metafile);
    });
  },
};

function builtName(metafile, source) {
  const found = Object.entries(metafile.outputs).find(([, it]) => it.entryPoint?.endsWith(`src/${source}`));
  if (!found) throw new Error(`The build has no output for ${source}`);
  return found[0];
}

function report(metafile) {
  for (const [name, { bytes }] of Object.entries(metafile.outputs)) {
    if (!name.endsWith(".map"))
      process.stdout.write(`${basename(name).padEnd(28)} ${(bytes / 1024).toFixed(1)} KB\n`);
  }
}

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });
const build = await context({
  entryPoints: Object.values(ENTRIES).map((source) => join(HERE, "src", source)),
  outdir: OUT,
  entryNames: "[name]-[hash]",
  bundle: true,
  format: "esm",
  target: ["es2022", "chrome111", "firefox113", "safari16.4"],
  loader: { ".svg": "copy" },
  minify: true,
  sourcemap: "linked",
  legalComments: "linked",
  metafile: true,
  logLevel: "warning",
  tsconfig: join(HERE, "..", "tsconfig.json"),
  plugins: [writeIndex],
});
if (watch) await build.watch();
else {
  await build.rebuild();
  await build.dispose();
}
