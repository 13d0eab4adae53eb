/**
 * A small colouring of code: comments, strings, numbers and words that most languages share. It is a
 * reading aid, not a parser; what it does not know stays plain.
 */

export type Colour = "comment" | "string" | "number" | "keyword" | "name" | "plain";
export type Piece = readonly [Colour, string];

const C_STYLE = "\\/\\/[^\\n]*|\\/\\*[\\s\\S]*?(?:\\*\\/|$)";
const HASH = "#[^\\n]*";
const DASHES = "--[^\\n]*|\\/\\*[\\s\\S]*?(?:\\*\\/|$)";
const MARKUP = "<!--[\\s\\S]*?(?:-->|$)";

const COMMENTS: Record<string, string> = {
  python: HASH,
  py: HASH,
  ruby: HASH,
  rb: HASH,
  bash: HASH,
  sh: HASH,
  shell: HASH,
  zsh: HASH,
  yaml: HASH,
  yml: HASH,
  toml: HASH,
  dockerfile: HASH,
  r: HASH,
  perl: HASH,
  makefile: HASH,
  sql: DASHES,
  lua: DASHES,
  haskell: DASHES,
  html: MARKUP,
  xml: MARKUP,
  svg: MARKUP,
  vue: MARKUP,
  css: "\\/\\*[\\s\\S]*?(?:\\*\\/|$)",
};

const PLAIN = new Set(["", "text", "txt", "plain", "plaintext", "output", "console", "markdown", "md"]);

const STRINGS =
  "\"\"\"[\\s\\S]*?(?:\"\"\"|$)|'''[\\s\\S]*?(?:'''|$)|`(?:\\\\[\\s\\S]|[^`\\\\])*(?:`|$)" +
  "|\"(?:\\\\.|[^\"\\\\\\n])*(?:\"|$|(?=\\n))|'(?:\\\\.|[^'\\\\\\n])*(?:'|$|(?=\\n))";
const NUMBERS = "\\b(?:0x[\\da-fA-F_]+|0b[01_]+|\\d[\\d_]*(?:\\.\\d+)?(?:e[+-]?\\d+)?)\\b";
const WORDS = "[A-Za-z_$@][\\w$-]*";

const KEYWORDS = new Set(
  (
    "abstract and as assert async await begin bool boolean break by byte case catch char class const continue " +
    "create def default defer del delete do double drop elif else elsif end enum esac except export extends " +
    "extern false False fi finally float fn for foreach from func function global go goto group having if impl " +
    "implements import in inner insert instanceof int interface into is join lambda left let limit long loop " +
    "match mod module mut namespace new nil None nonlocal not null of on or order outer override package pass " +
    "private protected pub public raise readonly record ref return select self Self set short static string " +
    "struct super switch table then this throw throws trait true True try type typeof undefined union unless " +
    "unsafe update use using val values var void when where while with yield"
  ).split(" "),
);

const patterns = new Map<string, RegExp>();

/** The code in coloured pieces; joined, they are the code. */
export function highlight(code: string, language: string): Piece[] {
  const name = language.toLowerCase();
  if (PLAIN.has(name)) return [["plain", code]];
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of code.matchAll(patternFor(name))) {
    const colour = colourOf(match, name);
    if (colour === "plain") continue;
    if (match.index > at) pieces.push(["plain", code.slice(at, match.index)]);
    pieces.push([colour, match[0]]);
    at = match.index + match[0].length;
  }
  if (at < code.length) pieces.push(["plain", code.slice(at)]);
  return pieces;
}

function patternFor(language: string): RegExp {
  const comment = COMMENTS[language] ?? C_STYLE;
  const known = patterns.get(comment);
  if (known) return known;
  const made = new RegExp(`(${comment})|(${STRINGS})|(${NUMBERS})|(${WORDS})`, "g");
  patterns.set(comment, made);
  return made;
}

function colourOf(match: RegExpMatchArray, language: string): Colour {
  if (match[1] !== undefined) return "comment";
  if (match[2] !== undefined) return "string";
  if (match[3] !== undefined) return "number";
  const word = match[0];
  const after = match.input?.[(match.index ?? 0) + word.length];
  if (KEYWORDS.has(language === "sql" ? word.toLowerCase() : word)) return "keyword";
  return after === "(" ? "name" : "plain";
}
