// Markdown within a line: code, emphasis, links. Images are shown as text, never loaded.

import { element } from "./dom.js";

const MAX_DEPTH = 6;
const TOKEN = new RegExp(
  [
    /\\(?<escaped>[!-/:-@[-`{-~])/,
    /(?<ticks>`+)(?<code>[^`]{1,2000}|[^`].{0,2000}?[^`])\k<ticks>(?!`)/,
    /!\[(?<alt>[^\]]{0,500})\]\((?<source>[^\s)]{0,2000})[^)\n]{0,200}\)/,
    /\[(?<label>[^\]]{1,500})\]\((?<target>[^\s)]{1,2000})[^)\n]{0,200}\)/,
    /(?<address>https?:\/\/[^\s<>"')\]]{1,2000}[^\s<>"')\].,;:!?*_])/,
    /\*\*(?=\S)(?<strong>.{0,2000}?\S)\*\*(?!\*)/,
    /(?<!\w)__(?=\S)(?<strong2>.{0,2000}?\S)__(?!\w)/,
    /\*(?=[^\s*])(?<emphasis>[^*]{0,2000}?[^\s*])\*/,
    /(?<!\w)_(?=[^\s_])(?<emphasis2>[^_]{0,2000}?[^\s_])_(?!\w)/,
    /~~(?=\S)(?<struck>.{0,2000}?\S)~~/,
  ]
    .map((part) => part.source)
    .join("|"),
  "gs",
);

/** Return the nodes of a text. */
export function inline(text, depth = 0) {
  if (depth > MAX_DEPTH) return [text];
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > end) nodes.push(text.slice(end, match.index));
    nodes.push(node(match, depth));
    end = match.index + match[0].length;
  }
  if (end < text.length) nodes.push(text.slice(end));
  return nodes;
}

function node(match, depth) {
  const found = match.groups;
  const within = (tag, text) => element(tag, {}, ...inline(text, depth + 1));
  if (found.escaped) return found.escaped;
  if (found.code) return element("code", {}, found.code);
  if (found.source !== undefined) return `[image: ${found.alt || found.source}]`;
  if (found.label) return link(found.target, inline(found.label, depth + 1), match[0]);
  if (found.address) return link(found.address, [found.address], match[0]);
  if (found.strong ?? found.strong2) return within("strong", found.strong ?? found.strong2);
  if (found.struck) return within("s", found.struck);
  return within("em", found.emphasis ?? found.emphasis2);
}

/** Return a link for an http(s) URL, or else the source text. */
function link(target, label, written) {
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return written;
  const attributes = { href: target, rel: "noopener noreferrer nofollow", target: "_blank" };
  return element("a", attributes, ...label);
}
