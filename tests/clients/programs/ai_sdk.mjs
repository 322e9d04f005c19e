// The AI SDK's scenarios, for whichever of its providers a program brings.

import {
  Output, generateObject, generateText, stepCountIs, streamObject, streamText, tool,
} from "ai";
import { PROMPTS, IMAGE, MAX_TOKENS, MODEL, Shape, failure } from "./harness.mjs";

const SHOWN = [{
  role: "user",
  content: [
    { type: "image", image: IMAGE, mediaType: "image/png" },
    { type: "text", text: PROMPTS.describe },
  ],
}];
const DETAIL = [
  { role: "user", content: [SHOWN[0].content[0], { type: "text", text: PROMPTS.detail }] },
];
const BROKEN = [{
  role: "user",
  content: [
    { type: "image", image: Buffer.from([0, 0, 0]), mediaType: "image/png" },
    { type: "text", text: PROMPTS.describe },
  ],
}];
const TURNS = [
  { role: "user", content: [SHOWN[0].content[0], { type: "text", text: PROMPTS.circle }] },
  { role: "assistant", content: PROMPTS.red },
  { role: "user", content: PROMPTS.star },
];
// Each provider reads its own options and none else.
const ONE_CALL = { openai: { parallelToolCalls: false }, llava: { parallel_tool_calls: false } };
const NAMED = { type: "tool", toolName: "report_shape" };

const described = (name, execute) =>
  tool({ description: PROMPTS.tools[name], inputSchema: Shape, execute });
const REPORT = { report_shape: described("report_shape") };
const BOTH = { ...REPORT, paint_shape: described("paint_shape") };

const told = (text, finish, usage) => ({
  text, finish, prompt_tokens: usage.inputTokens, completion_tokens: usage.outputTokens,
});
const called = (calls, finish) => ({
  calls: calls.map(({ toolName, input }) => ({ name: toolName, arguments: input })),
  finish,
  ids: calls.map(({ toolCallId }) => toolCallId),
});

/** Scenarios of a provider's model: `chosen(name)` returns one, `retrying` one behind a 429. */
export function scenarios(chosen, retrying) {
  const wishes = (options) => ({
    model: chosen(MODEL),
    temperature: 0,
    maxOutputTokens: MAX_TOKENS,
    maxRetries: 0,
    providerOptions: ONE_CALL,
    ...options,
  });
  const ask = async (options) => {
    const { text, finishReason, usage } = await generateText(wishes(options));
    return told(text, finishReason, usage);
  };
  const streamed = async (options) => {
    const failures = [];
    const stream = streamText(wishes({ onError: ({ error }) => failures.push(error), ...options }));
    let text = "";
    for await (const delta of stream.textStream) text += delta;
    if (failures.length) throw failures[0];
    return told(text, await stream.finishReason, await stream.usage);
  };
  const call = async (options) => {
    const result = await generateText(wishes({ prompt: PROMPTS.report, ...options }));
    return called(result.toolCalls, result.finishReason);
  };
  return {
    plain: () => ask({ prompt: PROMPTS.hello }),
    streamed: () => streamed({ prompt: PROMPTS.hello }),
    image: () => ask({ messages: SHOWN }),
    image_streamed: () => streamed({ messages: SHOWN }),
    several_turns: () => ask({ messages: TURNS }),
    system: () => ask({ system: PROMPTS.system, prompt: PROMPTS.hello }),
    tool_required: () => call({ tools: REPORT, toolChoice: "required" }),
    tool_named: () => call({ tools: BOTH, toolChoice: NAMED }),
    tool_streamed: async () => {
      const options = { prompt: PROMPTS.report, tools: BOTH, toolChoice: NAMED };
      const stream = streamText(wishes(options));
      return called(await stream.toolCalls, await stream.finishReason);
    },
    tool_two: () => call({ tools: BOTH, toolChoice: "required" }),
    tool_auto: () => ask({ prompt: PROMPTS.hello, tools: REPORT }),
    tool_loop: async () => {
      const calls = [];
      const execute = (shape) => {
        calls.push({ name: "report_shape", arguments: shape });
        return `${shape.count} ${shape.shape}`;
      };
      const { steps, text, finishReason, usage } = await generateText(wishes({
        prompt: PROMPTS.report,
        tools: { report_shape: described("report_shape", execute) },
        prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber ? "none" : "required" }),
        stopWhen: stepCountIs(2),
      }));
      const results = steps[0].toolResults.map(({ output }) => output);
      return { calls, results, ...told(text, finishReason, usage) };
    },
    structured: async () =>
      (await generateObject(wishes({ prompt: PROMPTS.report, schema: Shape }))).object,
    structured_by_output: async () => {
      const output = Output.object({ schema: Shape });
      return (await generateText(wishes({ prompt: PROMPTS.report, output }))).output;
    },
    structured_streamed: async () => {
      const stream = streamObject(wishes({ prompt: PROMPTS.report, schema: Shape }));
      let last;
      for await (const partial of stream.partialObjectStream) last = partial;
      const object = await stream.object;
      if (JSON.stringify(last) !== JSON.stringify(object)) throw new Error(JSON.stringify(last));
      return object;
    },
    structured_image: async () =>
      (await generateObject(wishes({ messages: SHOWN, schema: Shape }))).object,
    length: () => ask({ messages: DETAIL, maxOutputTokens: 16 }),
    model_not_found: () => failure(() => ask({ model: chosen("nothing"), prompt: PROMPTS.hello })),
    bad_parameter: () => failure(() => ask({ prompt: PROMPTS.hello, temperature: 9 })),
    broken_image: () => failure(() => ask({ messages: BROKEN })),
    retried: () => ask({ model: retrying, prompt: PROMPTS.hello, maxRetries: 2 }),
  };
}
