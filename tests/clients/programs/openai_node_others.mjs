// OpenAI's Node client: the Responses API and the older completions.

import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import {
  PROMPTS, BROKEN_URL, IMAGE_URL, MAX_TOKENS, MODEL, Shape, URL_, failure, main,
} from "./harness.mjs";

const client = new OpenAI({ baseURL: URL_, apiKey: "none", maxRetries: 0, timeout: 60_000 });
const TOOL = {
  type: "function",
  name: "report_shape",
  description: PROMPTS.tools.report_shape,
  parameters: PROMPTS.schema,
  strict: true,
};

const wishes = (input, options) => ({
  model: MODEL, input, temperature: 0, max_output_tokens: MAX_TOKENS, ...options,
});
const respond = (input, options) => client.responses.create(wishes(input, options));

function told(answer) {
  return {
    text: answer.output_text,
    status: answer.status,
    prompt_tokens: answer.usage.input_tokens,
    completion_tokens: answer.usage.output_tokens,
  };
}

function called(answer) {
  const calls = answer.output.filter(({ type }) => type === "function_call");
  return {
    calls: calls.map((call) => ({ name: call.name, arguments: JSON.parse(call.arguments) })),
    ids: calls.map((call) => call.call_id),
  };
}

function withImage(text, image_url = IMAGE_URL) {
  const content = [
    { type: "input_image", image_url, detail: "auto" },
    { type: "input_text", text },
  ];
  return [{ role: "user", content }];
}

async function withHelper(input, options) {
  const stream = client.responses.stream(wishes(input, options));
  const events = [];
  for await (const event of stream) events.push(event);
  return { events, final: await stream.finalResponse() };
}

const joined = (events, type) =>
  events.filter((event) => event.type === type).map((event) => event.delta).join("");

const complete = (options) =>
  client.completions.create({
    model: MODEL, prompt: PROMPTS.hello, temperature: 0, max_tokens: 8, ...options,
  });

await main({
  response: async () => told(await respond(PROMPTS.hello)),
  response_streamed: async () => {
    const { events, final } = await withHelper(PROMPTS.hello);
    return { ...told(final), text: joined(events, "response.output_text.delta") };
  },
  response_image: async () => told(await respond(withImage(PROMPTS.describe))),
  response_instructions: async () =>
    told(await respond(PROMPTS.hello, { instructions: PROMPTS.system })),
  response_tool: async () =>
    called(await respond(PROMPTS.report, {
      tools: [TOOL], tool_choice: "required", parallel_tool_calls: false,
    })),
  response_tool_streamed: async () => {
    const options = { tools: [TOOL], tool_choice: { type: "function", name: "report_shape" } };
    const { events, final } = await withHelper(PROMPTS.report, options);
    const deltas = JSON.parse(joined(events, "response.function_call_arguments.delta"));
    const result = called(final);
    return { ...result, calls: result.calls.map(({ name }) => ({ name, arguments: deltas })) };
  },
  response_structured: async () => {
    const text = { format: zodTextFormat(Shape, "shape") };
    const answer = await client.responses.parse(wishes(PROMPTS.report, { text }));
    return Shape.parse(answer.output_parsed);
  },
  response_model_not_found: () => failure(() => respond(PROMPTS.hello, { model: "nothing" })),
  response_broken_image: () => failure(() => respond(withImage(PROMPTS.describe, BROKEN_URL))),
  completion: async () => {
    const { choices: [choice], usage } = await complete();
    const { prompt_tokens, completion_tokens } = usage;
    return { text: choice.text, finish: choice.finish_reason, prompt_tokens, completion_tokens };
  },
  completion_streamed: async () => {
    let text = "", finish, usage;
    const options = { stream: true, stream_options: { include_usage: true } };
    for await (const chunk of await complete(options)) {
      text += chunk.choices[0]?.text ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    const { prompt_tokens, completion_tokens } = usage;
    return { text, finish, prompt_tokens, completion_tokens };
  },
});
