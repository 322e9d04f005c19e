// The server's endpoints, relative to the page's URL.

import { AFFINITY_HEADER, nextAffinity } from "./affinity.js";
import { Failure, failureOf, fromError, unreachable } from "./failure.js";
import { eventData } from "./stream.js";

const at = (path) => new URL(path, document.baseURI).href;

export const BASE_URL = at("v1");
export const COMPLETIONS_URL = at("v1/chat/completions");

/** Return `loading`, `ready`, `draining`, `failed`, or `unreachable`. */
export async function readiness() {
  try {
    const response = await fetch(at("ready"), { cache: "no-store" });
    return (await response.json()).status;
  } catch {
    return "unreachable";
  }
}

/** Return the names of the served models. Throws a `Failure`. */
export async function listModels(key) {
  const response = await request(at("v1/models"), { headers: authorization(key) });
  return (await response.json()).data.map((model) => model.id);
}

/** Return the URLs of the model's example images. */
export async function listExamples() {
  const response = await request(at("page/examples"), {});
  return (await response.json()).map((name) => at(`page/examples/${encodeURIComponent(name)}`));
}

/**
 * Ask for a streamed completion and call `onText` with each piece of it.
 *
 * `affinity` leads a conversation back to the replica that knows it. Returns what the stream told
 * besides: finish reason, usage, times in milliseconds, notes and the next request's affinity.
 * Throws a `Failure`, or an `AbortError` once `signal` is aborted.
 */
export async function complete(body, { key, affinity, signal, onText }) {
  const began = performance.now();
  const headers = {
    "content-type": "application/json",
    [AFFINITY_HEADER]: affinity,
    ...authorization(key),
  };
  const options = { method: "POST", headers, body: JSON.stringify(body), signal };
  const response = await request(COMPLETIONS_URL, options);
  const requestId = response.headers.get("x-request-id");
  const told = {
    requestId,
    notes: response.headers.get("x-llava-image-notes"),
    affinity: nextAffinity(response, affinity),
  };
  for await (const chunk of chunks(response, requestId)) {
    const choice = chunk.choices[0];
    if (choice?.delta.content) {
      told.firstToken ??= performance.now() - began;
      onText(choice.delta.content);
    }
    told.finishReason = choice?.finish_reason ?? told.finishReason;
    told.usage = chunk.usage ?? told.usage;
  }
  told.total = performance.now() - began;
  return told;
}

async function* chunks(response, requestId) {
  try {
    for await (const data of eventData(response.body)) {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw fromError(chunk.error, { requestId });
      yield chunk;
    }
  } catch (error) {
    if (error instanceof Failure || error.name === "AbortError") throw error;
    throw new Failure(`The answer broke off (${error.message}).`, { type: "network", requestId });
  }
  throw new Failure("The answer broke off before its end.", { type: "network", requestId });
}

async function request(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    throw error.name === "AbortError" ? error : unreachable(error);
  }
  if (!response.ok) throw await failureOf(response);
  return response;
}

const authorization = (key) => (key ? { authorization: `Bearer ${key}` } : {});
