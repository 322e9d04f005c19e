// The AI SDK with @ai-sdk/openai, by chat completions.

import { createOpenAI } from "@ai-sdk/openai";
import { MODEL, RETRY_URL, URL_, main } from "./harness.mjs";
import { scenarios } from "./ai_sdk.mjs";

const provider = (baseURL) => createOpenAI({ baseURL, apiKey: "none" });
const local = provider(URL_);

await main(scenarios((name) => local.chat(name), provider(RETRY_URL).chat(MODEL)));
