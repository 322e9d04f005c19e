// Tokens and times of an answer.

import { element } from "./dom.js";

// Shorter answers arrive in one or two chunks, whose rate means little.
const MEASURABLE_S = 0.02;

/** Return the figures of an answer as a list. */
export function figures({ usage, firstToken, total, finishReason }) {
  const rows = [
    ["First token", firstToken === undefined ? null : time(firstToken)],
    ["Tokens/s", speed(usage, firstToken, total)],
    ["Total", total === undefined ? null : time(total)],
    ["Prompt", usage && promptTokens(usage)],
    ["Answer", usage && `${usage.completion_tokens} tokens`],
    ["Ended by", finishReason === "length" ? "the token limit" : null],
  ].filter(([, value]) => value);
  const items = rows.map(([name, value]) => {
    return element("div", {}, element("dt", {}, name), element("dd", {}, value));
  });
  return element("dl", { class: "figures" }, ...items);
}

function promptTokens(usage) {
  const images = usage.prompt_tokens_details?.image_tokens;
  return `${usage.prompt_tokens} tokens${images ? `, ${images} for images` : ""}`;
}

/** The decode rate: the tokens after the first, which includes the prefill. */
function speed(usage, firstToken, total) {
  const count = (usage?.completion_tokens ?? 0) - 1;
  const seconds = (total - firstToken) / 1000;
  return count > 0 && seconds > MEASURABLE_S ? String(Math.round(count / seconds)) : null;
}

const time = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);
