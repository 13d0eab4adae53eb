/**
 * Markdown tokens to Lit templates. What a model wrote only ever becomes a text node, or the href of a link
 * that `safeHref` let through: no HTML of its making is parsed anywhere, so there is nothing to sanitise.
 */
import { html, nothing, type TemplateResult } from "lit";
import { guard } from "lit/directives/guard.js";
import type { Token, Tokens } from "marked";
import { copyIcon } from "../icons.ts";
import { t } from "../strings.ts";
import { decodeEntities } from "./entities.ts";
import { highlight } from "./highlight.ts";
import { safeHref } from "./links.ts";

type Rendered = TemplateResult | string | typeof nothing | Rendered[];

/** Longer code stays uncoloured: a span per word would cost more than it helps. */
const COLOUR_LIMIT = 24_000;

/** Every block, rendered anew only when its token is another one. */
export function renderBlocks(tokens: readonly Token[], open: boolean): Rendered {
  const last = tokens.length - 1;
  return tokens.map((token, index) => {
    const growing = open && index === last;
    return guard([token, growing], () => renderBlock(token, growing)) as unknown as TemplateResult;
  });
}

function renderBlock(token: Token, growing = false): Rendered {
  switch (token.type) {
    case "heading":
      return heading(token as Tokens.Heading);
    case "paragraph":
      return html`<p>${inline(token.tokens)}</p>`;
    case "text":
      return token.tokens ? inline(token.tokens) : decodeEntities(token.text);
    case "code":
      return codeBlock(token as Tokens.Code, growing);
    case "blockquote":
      return html`<blockquote>${blocks(token.tokens)}</blockquote>`;
    case "list":
      return list(token as Tokens.List);
    case "table":
      return table(token as Tokens.Table);
    case "hr":
      return html`<hr>`;
    case "html":
      return html`<p class="literal">${token.raw.trimEnd()}</p>`;
    case "space":
    case "def":
      return nothing;
    default:
      return "raw" in token ? token.raw : nothing;
  }
}

function blocks(tokens: Token[] | undefined): Rendered {
  return (tokens ?? []).map((token) => renderBlock(token));
}

/** Headings begin below those of the page. */
function heading(token: Tokens.Heading): TemplateResult {
  const content = inline(token.tokens);
  if (token.depth === 1) return html`<h3 class="first">${content}</h3>`;
  if (token.depth === 2) return html`<h4 class="second">${content}</h4>`;
  if (token.depth === 3) return html`<h5>${content}</h5>`;
  return html`<h6>${content}</h6>`;
}

function codeBlock(token: Tokens.Code, growing: boolean): TemplateResult {
  const language = (token.lang ?? "").trim().split(/[\s{:,]/)[0] ?? "";
  const plain = growing || token.text.length > COLOUR_LIMIT;
  return html`
    <figure class="code">
      <figcaption>
        <span>${language || t("code")}</span>
        <button type="button" data-copy aria-label=${t("Copy code")}>${copyIcon}<span>${t("Copy")}</span></button>
      </figcaption>
      <pre tabindex="0"><code>${plain ? token.text : coloured(token.text, language)}</code></pre>
    </figure>
  `;
}

function coloured(code: string, language: string): Rendered {
  return highlight(code, language).map(([colour, text]) =>
    colour === "plain" ? text : html`<span class="c-${colour}">${text}</span>`,
  );
}

function list(token: Tokens.List): TemplateResult {
  const items = token.items.map((item) => listItem(item));
  if (!token.ordered) return html`<ul>${items}</ul>`;
  return html`<ol start=${Number(token.start) || 1}>${items}</ol>`;
}

function listItem(item: Tokens.ListItem): TemplateResult {
  const tokens = item.tokens.filter((it) => it.type !== "checkbox");
  const box = html`<input type="checkbox" disabled .checked=${item.checked === true} aria-label=${
    item.checked ? t("done") : t("not done")
  }>`;
  return html`<li class=${item.task ? "task" : ""}>${item.task ? box : nothing}${blocks(tokens)}</li>`;
}

function table(token: Tokens.Table): TemplateResult {
  const cells = (row: Tokens.TableCell[], head: boolean) =>
    row.map((cell) => {
      const align = cell.align ?? "";
      return head
        ? html`<th scope="col" class=${align}>${inline(cell.tokens)}</th>`
        : html`<td class=${align}>${inline(cell.tokens)}</td>`;
    });
  return html`
    <div class="table" tabindex="0" role="group" aria-label=${t("Table")}>
      <table>
        <thead><tr>${cells(token.header, true)}</tr></thead>
        <tbody>${token.rows.map((row) => html`<tr>${cells(row, false)}</tr>`)}</tbody>
      </table>
    </div>
  `;
}

function inline(tokens: Token[] | undefined): Rendered {
  return (tokens ?? []).map(inlineToken);
}

function inlineToken(token: Token): Rendered {
  switch (token.type) {
    case "text":
      return token.tokens ? inline(token.tokens) : decodeEntities(token.text);
    case "escape":
      return token.text;
    case "strong":
      return html`<strong>${inline(token.tokens)}</strong>`;
    case "em":
      return html`<em>${inline(token.tokens)}</em>`;
    case "del":
      return html`<del>${inline(token.tokens)}</del>`;
    case "codespan":
      return html`<code>${token.text}</code>`;
    case "br":
      return html`<br>`;
    case "link":
      return link(token.href, inline(token.tokens));
    case "image":
      return image(token as Tokens.Image);
    case "html":
      return /^<br\s*\/?>$/i.test(token.raw) ? html`<br>` : token.raw;
    default:
      return "raw" in token ? token.raw : nothing;
  }
}

function link(address: string, content: Rendered): Rendered {
  const href = safeHref(decodeEntities(address));
  if (!href) return html`<span class="dead-link">${content}</span>`;
  return html`<a href=${href} target="_blank" rel="noopener noreferrer">${content}</a>`;
}

/** Never loaded by itself: an address in a model's answer can carry away what was said. */
function image(token: Tokens.Image): Rendered {
  return link(
    token.href,
    html`<span class="image">${t("Image: {0}", decodeEntities(token.text) || token.href)}</span>`,
  );
}
