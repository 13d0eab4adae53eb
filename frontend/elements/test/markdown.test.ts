/** Markdown that grows reads like markdown that came at once; addresses and entities are let in by rule. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Lexer, type Token } from "marked";
import { BlockReader } from "../src/markdown/blocks.ts";
import { decodeEntities } from "../src/markdown/entities.ts";
import { highlight } from "../src/markdown/highlight.ts";
import { safeHref } from "../src/markdown/links.ts";

const SNIPPETS = [
  ...["# Title\n", "text ", "more *text* ", "\n", "\n\n", "- item\n", "  - inner\n", "1. one\n", "10. ten\n"],
  ...[
    "> quote\n",
    "lazy\n",
    "```js\n",
    "let a = 1;\n",
    "```\n",
    "~~~\n",
    "| a | b |\n",
    "|---|---|\n",
    "| 1 | 2 |\n",
  ],
  ...[
    "---\n",
    "===\n",
    "<div>\n",
    "</div>\n",
    "    indented\n",
    "[x](https://a.example)",
    "\t",
    "\r\n",
    "-",
    "`code`",
  ],
  ...["\\", "**", "&amp;", "<!-- c", "-->", "é", "\u{1f600}", "- [ ] todo\n"],
];

function shape(tokens: readonly Token[]): unknown {
  return tokens.map(({ type, raw }) => [type, raw]);
}

test("any chunking gives the blocks of the whole text", () => {
  const text = fc.array(fc.constantFrom(...SNIPPETS), { maxLength: 40 });
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 9 }), (parts, size) => {
      const whole = parts.join("");
      const reader = new BlockReader();
      for (let at = size; at < whole.length; at += size) reader.read(whole.slice(0, at));
      const grown = shape(reader.read(whole));
      assert.deepEqual(grown, shape(new Lexer().lex(whole.replace(/\r\n?/g, "\n"))));
    }),
    { numRuns: 1500 },
  );
});

test("blocks that cannot change any more keep their tokens", () => {
  const reader = new BlockReader();
  const text = "one\n\ntwo\n\nthree\n\nfour\n\nfive\n\nsi";
  const before = reader.read(text);
  const after = reader.read(`${text}x`);
  assert.equal(after[0], before[0]);
  assert.equal(after[4], before[4]);
  assert.notEqual(after.at(-1), before.at(-1));
});

test("a text that is replaced is read anew", () => {
  const reader = new BlockReader();
  reader.read("one\n\ntwo\n\nthree\n\nfour\n\nfive");
  assert.deepEqual(shape(reader.read("# other")), shape(new Lexer().lex("# other")));
});

test("a link that is defined at the end is a link once all has arrived", () => {
  const reader = new BlockReader();
  const text = "See [it][1].\n\na\n\nb\n\nc\n\nd\n\n[1]: https://a.example";
  reader.read(text);
  const first = reader.read(text, true)[0] as { tokens?: Token[] };
  assert.ok(first.tokens?.some((it) => it.type === "link"));
});

test("only whole web and mail addresses may be followed", () => {
  assert.equal(safeHref("https://a.example/x"), "https://a.example/x");
  assert.equal(safeHref("mailto:a@b.example"), "mailto:a@b.example");
  const refused = [
    ...["javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)"],
    ...["data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://a.example/1"],
    ...["/api/method/logout", "//a.example", "#/c/x", "x", ""],
  ];
  for (const address of refused) assert.equal(safeHref(address), null, address);
});

test("entities become their characters, and only those that are known", () => {
  assert.equal(
    decodeEntities("&lt;b&gt; &amp; &#39;&#x41; &nope; &constructor;"),
    "<b> & 'A &nope; &constructor;",
  );
  assert.equal(decodeEntities("&#0; &#xd800; &#9999999;"), "&#0; &#xd800; &#9999999;");
});

test("coloured code is the code", () => {
  const languages = fc.constantFrom("python", "js", "sql", "html", "bash", "text", "no-such", "css");
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), languages, (code, language) => {
      const joined = highlight(code, language)
        .map(([, text]) => text)
        .join("");
      assert.equal(joined, code);
    }),
  );
});

test("colouring takes time in proportion to the code", () => {
  const nasty = [
    `"${"\\".repeat(20_000)}`,
    "/*".repeat(10_000),
    "`".repeat(20_001),
    "a-".repeat(10_000),
    '"""'.repeat(7_000),
  ];
  for (const code of nasty) assert.ok(highlight(code, "js").length > 0);
});
