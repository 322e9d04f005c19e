// Markdown as DOM nodes. All text becomes text nodes: nothing is parsed as HTML.

import { element } from "./dom.js";
import { inline } from "./inline.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const MAX_DEPTH = 6;

/** Return the blocks of a text as nodes. */
export function markdown(text) {
  return blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0);
}

function blocks(lines, depth) {
  const nodes = [];
  let at = 0;
  while (at < lines.length) {
    const [node, next] = block(lines, at, depth);
    if (node) nodes.push(node);
    at = next;
  }
  return nodes;
}

/** Return the block that starts at a line, and the line after it. */
function block(lines, at, depth) {
  const line = lines[at];
  if (!line.trim()) return [null, at + 1];
  if (FENCE.test(line)) return code(lines, at);
  if (RULE.test(line)) return [element("hr"), at + 1];
  if (HEADING.test(line)) return [heading(line), at + 1];
  if (depth < MAX_DEPTH && QUOTE.test(line)) return quote(lines, at, depth);
  if (depth < MAX_DEPTH && ITEM.test(line)) return list(lines, at, depth);
  if (startsTable(lines, at)) return table(lines, at);
  return paragraph(lines, at, depth);
}

function code(lines, at) {
  const [, fence] = FENCE.exec(lines[at]);
  const closing = (line) => line.trim().startsWith(fence) && !line.trim().replaceAll(fence[0], "");
  let end = at + 1;
  while (end < lines.length && !closing(lines[end])) end += 1;
  const text = lines.slice(at + 1, end).join("\n");
  // Focusable, so that the keyboard can scroll wide code.
  return [element("pre", { tabindex: "0" }, element("code", {}, text)), end + 1];
}

/** Heading levels start below the page's own headings. */
function heading(line) {
  const [, marks, text] = HEADING.exec(line);
  return element(`h${Math.min(6, marks.length + 2)}`, {}, ...inline(text));
}

function quote(lines, at, depth) {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inner = lines.slice(at, end).map((line) => QUOTE.exec(line)[1]);
  return [element("blockquote", {}, ...blocks(inner, depth + 1)), end];
}

function list(lines, at, depth) {
  const [, indent, mark] = ITEM.exec(lines[at]);
  const ordered = /\d/.test(mark);
  const node = element(ordered ? "ol" : "ul", ordered ? { start: parseInt(mark, 10) } : {});
  const belongs = (line) => {
    const item = ITEM.exec(line);
    return item && item[1].length <= indent.length + 1 && /\d/.test(item[2]) === ordered;
  };
  while (at < lines.length && belongs(lines[at])) {
    const end = itemEnd(lines, at, indent.length);
    node.append(item(lines.slice(at, end), indent.length, depth));
    at = end;
  }
  return [node, at];
}

/** Return the line after an item, which includes all lines with deeper indentation. */
function itemEnd(lines, at, indent) {
  let end = at + 1;
  const deeper = (line) => line !== undefined && line.search(/\S/) > indent + 1;
  while (deeper(lines[end]) || (lines[end]?.trim() === "" && deeper(lines[end + 1]))) end += 1;
  return end;
}

function item(lines, indent, depth) {
  const [, , , first] = ITEM.exec(lines[0]);
  const rest = lines.slice(1).map((line) => line.replace(new RegExp(`^\\s{0,${indent + 2}}`), ""));
  return element("li", {}, ...inline(first), ...blocks(rest, depth + 1));
}

function startsTable(lines, at) {
  return lines[at].includes("|") && at + 1 < lines.length && lines[at + 1].includes("-")
    && DIVIDER.test(lines[at + 1]) && cells(lines[at]).length === cells(lines[at + 1]).length;
}

function table(lines, at) {
  const row = (line, tag) => {
    return element("tr", {}, ...cells(line).map((cell) => element(tag, {}, ...inline(cell))));
  };
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) end += 1;
  const body = lines.slice(at + 2, end).map((line) => row(line, "td"));
  const parts = [element("thead", {}, row(lines[at], "th")), element("tbody", {}, ...body)];
  return [element("div", { class: "table", tabindex: "0" }, element("table", {}, ...parts)), end];
}

const cells = (line) => {
  const bare = line.trim().replace(/^\||\|$/g, "");
  return bare.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
};

function paragraph(lines, at, depth) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !interrupts(lines[end], depth)) end += 1;
  const parts = lines.slice(at, end).flatMap((line, index) => {
    return index ? [element("br"), ...inline(line.trim())] : inline(line.trim());
  });
  return [element("p", {}, ...parts), end];
}

function interrupts(line, depth) {
  return [FENCE, RULE, HEADING].some((kind) => kind.test(line))
    || (depth < MAX_DEPTH && [QUOTE, ITEM].some((kind) => kind.test(line)));
}
