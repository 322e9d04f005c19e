// The AI SDK with @ai-sdk/openai-compatible.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import {
  PROMPTS, MAX_TOKENS, MODEL, RETRY_URL, URL_, cancelled, cancelledMoreThan, main,
} from "./harness.mjs";
import { scenarios } from "./ai_sdk.mjs";

const provider = (baseURL) =>
  createOpenAICompatible({
    name: "llava", baseURL, apiKey: "none", includeUsage: true, supportsStructuredOutputs: true,
  });
const local = provider(URL_);

const ask = async (options) => {
  const wishes = { model: local(MODEL), maxOutputTokens: MAX_TOKENS, maxRetries: 0 };
  return generateText({ ...wishes, prompt: PROMPTS.hello, ...options });
};

await main({
  ...scenarios(local, provider(RETRY_URL)(MODEL)),
  stop: async () => {
    const { text, finishReason, usage } = await ask({ temperature: 0, stopSequences: [PROMPTS.stop] });
    return {
      text,
      finish: finishReason,
      prompt_tokens: usage.inputTokens,
      completion_tokens: usage.outputTokens,
    };
  },
  seed: async () => {
    const texts = [];
    for (const seed of [1, 1, 2]) texts.push((await ask({ temperature: 2, seed })).text);
    return texts;
  },
  aborted: async () => {
    const before = await cancelled();
    const abort = new AbortController();
    const stream = streamText({
      model: local(MODEL),
      prompt: PROMPTS.hello,
      maxOutputTokens: 1500,
      providerOptions: { llava: { ignore_eos: true } },
      abortSignal: abort.signal,
    });
    for await (const delta of stream.textStream) if (delta) break;
    abort.abort();
    return cancelledMoreThan(before);
  },
  completion: async () => {
    const model = local.completionModel(MODEL);
    const { text, finishReason, usage } = await ask({ model, temperature: 0, maxOutputTokens: 8 });
    return {
      text,
      finish: finishReason,
      prompt_tokens: usage.inputTokens,
      completion_tokens: usage.outputTokens,
    };
  },
});
