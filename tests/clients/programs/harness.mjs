// What the Node programs share: what they ask, and how they print what came back as one JSON object.

import { readFileSync } from "node:fs";
import { z } from "zod";

export const URL_ = process.env.BASE_URL;
export const RETRY_URL = process.env.RETRY_URL; // answers its first request with a 429, then passes on
export const IMAGE = readFileSync(process.env.IMAGE);
export const IMAGE_URL = `data:image/png;base64,${IMAGE.toString("base64")}`;
export const BROKEN_URL = "data:image/png;base64,AAAA";
export const PROMPTS = JSON.parse(readFileSync(new URL("prompts.json", import.meta.url), "utf8"));
export const MODEL = PROMPTS.model;
export const MAX_TOKENS = PROMPTS.max_tokens;

export const Shape = z.strictObject({
  shape: z.enum(["circle", "square", "triangle", "star"]),
  count: z.number().int().min(0).max(9),
});

export function user(text, imageUrl) {
  if (!imageUrl) return { role: "user", content: text };
  const image = { type: "image_url", image_url: { url: imageUrl } };
  return { role: "user", content: [image, { type: "text", text }] };
}

export function turns() {
  const answered = { role: "assistant", content: PROMPTS.red };
  return [user(PROMPTS.circle, IMAGE_URL), answered, user(PROMPTS.star)];
}

export function tool(name) {
  const description = PROMPTS.tools[name];
  return { type: "function", function: { name, description, parameters: PROMPTS.schema } };
}

export async function failure(ask) {
  try {
    await ask();
  } catch (error) {
    const { message, status, statusCode, code, param, type } = error;
    return {
      raised: error.constructor.name,
      message,
      status_code: status ?? statusCode,
      code,
      param,
      type,
      body: error.responseBody,
    };
  }
  throw new Error("nothing was raised");
}

export async function cancelled() {
  const metrics = await (await fetch(URL_.replace(/\/v1$/, "/metrics"))).text();
  const found = metrics.matchAll(/^llava:requests_total\{.*outcome="cancelled".*\} (\S+)$/gm);
  return [...found].reduce((sum, [, value]) => sum + Number(value), 0);
}

export async function cancelledMoreThan(before) {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; ) {
    if ((await cancelled()) > before) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

export async function main(scenarios) {
  const results = {};
  for (const [name, scenario] of Object.entries(scenarios)) {
    try {
      results[name] = { returned: await scenario() };
    } catch (error) {
      results[name] = { raised: `${error.stack}\n${error.message} ${error.responseBody ?? ""}` };
    }
  }
  console.log(JSON.stringify(results));
}
