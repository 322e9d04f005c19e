// The AI SDK with @ai-sdk/openai, whose models use the Responses API unless told otherwise.

import { createOpenAI } from "@ai-sdk/openai";
import { MODEL, RETRY_URL, URL_, main } from "./harness.mjs";
import { scenarios } from "./ai_sdk.mjs";

const provider = (baseURL) => createOpenAI({ baseURL, apiKey: "none" });

await main(scenarios(provider(URL_), provider(RETRY_URL)(MODEL)));
