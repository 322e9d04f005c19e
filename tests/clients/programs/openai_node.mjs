// OpenAI's Node client: chat completions, with its helpers for streams, tools and zod.

import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import {
  PROMPTS, BROKEN_URL, IMAGE_URL, MAX_TOKENS, MODEL, RETRY_URL, Shape, URL_,
  cancelled, cancelledMoreThan, failure, main, tool, turns, user,
} from "./harness.mjs";

const client = new OpenAI({ baseURL: URL_, apiKey: "none", maxRetries: 0, timeout: 60_000 });
const HELLO = [user(PROMPTS.hello)];
const REQUEST = [user(PROMPTS.report)];
const REPORT = tool("report_shape");
const PAINT = tool("paint_shape");
const NAMED = { type: "function", function: { name: "report_shape" } };

const wishes = (messages, options) => ({
  model: MODEL, messages, temperature: 0, max_tokens: MAX_TOKENS, ...options,
});
const create = (messages, options) => client.chat.completions.create(wishes(messages, options));

function told(answer) {
  const [choice] = answer.choices;
  return {
    text: choice.message.content,
    finish: choice.finish_reason,
    prompt_tokens: answer.usage.prompt_tokens,
    completion_tokens: answer.usage.completion_tokens,
  };
}

function called(answer) {
  const [choice] = answer.choices;
  const calls = choice.message.tool_calls ?? [];
  return {
    calls: calls.map(({ function: { name, arguments: text } }) => ({
      name, arguments: JSON.parse(text),
    })),
    finish: choice.finish_reason,
    ids: calls.map((call) => call.id),
  };
}

async function streamedAnswer(messages) {
  let text = "", finish, usage;
  const options = { stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await create(messages, options)) {
    text += chunk.choices[0]?.delta.content ?? "";
    finish = chunk.choices[0]?.finish_reason ?? finish;
    if (usage && chunk.usage) throw new Error("usage came twice");
    usage = chunk.usage ?? usage;
  }
  const { prompt_tokens, completion_tokens } = usage;
  return { text, finish, prompt_tokens, completion_tokens };
}

async function withHelper(messages, options) {
  const stream = client.chat.completions.stream(
    wishes(messages, { stream_options: { include_usage: true }, ...options }),
  );
  let said = "";
  stream.on("content", (delta) => { said += delta; });
  const final = await stream.finalChatCompletion();
  if (said !== (final.choices[0].message.content ?? "")) throw new Error(`not joined: ${said}`);
  return final;
}

async function failsWith(options, messages = HELLO) {
  return failure(() => create(messages, options));
}

await main({
  plain: async () => told(await create(HELLO)),
  streamed: () => streamedAnswer(HELLO),
  stream_helper: async () => told(await withHelper(HELLO)),
  image: async () => told(await create([user(PROMPTS.describe, IMAGE_URL)])),
  image_streamed: () => streamedAnswer([user(PROMPTS.describe, IMAGE_URL)]),
  several_turns: async () => told(await create(turns())),
  system: async () => told(await create([{ role: "system", content: PROMPTS.system }, ...HELLO])),
  system_parts: async () => {
    const content = [{ type: "text", text: PROMPTS.system }];
    return told(await create([{ role: "system", content }, ...HELLO]));
  },
  tool_required: async () =>
    called(await create(REQUEST, { tools: [REPORT], tool_choice: "required", parallel_tool_calls: false })),
  tool_named: async () =>
    called(await create(REQUEST, { tools: [REPORT, PAINT], tool_choice: NAMED })),
  tool_streamed: async () => {
    const options = { tools: [REPORT, PAINT], tool_choice: NAMED, stream: true };
    const ids = [], names = [];
    let text = "", finish;
    for await (const chunk of await create(REQUEST, options)) {
      finish = chunk.choices[0]?.finish_reason ?? finish;
      for (const call of chunk.choices[0]?.delta.tool_calls ?? []) {
        if (call.index !== 0) throw new Error("the call was split");
        if (call.id) ids.push(call.id);
        if (call.function?.name) names.push(call.function.name);
        text += call.function?.arguments ?? "";
      }
    }
    return { calls: names.map((name) => ({ name, arguments: JSON.parse(text) })), finish, ids };
  },
  tool_stream_helper: async () =>
    called(await withHelper(REQUEST, { tools: [REPORT, PAINT], tool_choice: NAMED })),
  tool_two: async () =>
    called(await create(REQUEST, { tools: [REPORT, PAINT], tool_choice: "required", parallel_tool_calls: false })),
  tool_auto: async () => told(await create(HELLO, { tools: [REPORT], tool_choice: "auto" })),
  tool_round_trip: async () => {
    const text = '{"shape": "star", "count": 1}';
    const call = { id: "call_1", type: "function", function: { name: "report_shape", arguments: text } };
    const messages = [
      ...REQUEST,
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", tool_call_id: "call_1", content: PROMPTS.said },
    ];
    return told(await create(messages, { tools: [REPORT] }));
  },
  tool_loop: async () => {
    const calls = [];
    const report = zodFunction({
      name: "report_shape",
      description: PROMPTS.tools.report_shape,
      parameters: Shape,
      function: (shape) => {
        calls.push({ name: "report_shape", arguments: shape });
        return `${shape.count} ${shape.shape}`;
      },
    });
    const options = { tools: [report], tool_choice: { type: "function", function: { name: "report_shape" } } };
    const runner = client.chat.completions.runTools(wishes(REQUEST, options));
    await runner.done();
    const results = runner.messages.filter(({ role }) => role === "tool").map((m) => m.content);
    return { calls, results };
  },
  structured: async () => {
    const response_format = zodResponseFormat(Shape, "shape");
    const answer = await client.chat.completions.parse(wishes(REQUEST, { response_format }));
    return Shape.parse(answer.choices[0].message.parsed);
  },
  structured_streamed: async () => {
    const response_format = zodResponseFormat(Shape, "shape");
    return Shape.parse((await withHelper(REQUEST, { response_format })).choices[0].message.parsed);
  },
  structured_image: async () => {
    const response_format = zodResponseFormat(Shape, "shape");
    const messages = [user(PROMPTS.describe, IMAGE_URL)];
    const answer = await client.chat.completions.parse(wishes(messages, { response_format }));
    return Shape.parse(answer.choices[0].message.parsed);
  },
  json_object: async () =>
    told(await create(REQUEST, { response_format: { type: "json_object" } })),
  logprobs: async () => {
    const answer = await create(HELLO, { logprobs: true, top_logprobs: 3 });
    const tokens = answer.choices[0].logprobs.content;
    return {
      ...told(answer),
      tokens: tokens.map(({ token }) => token),
      bytes: tokens.map(({ bytes }) => bytes),
      logprobs: tokens.map(({ logprob }) => logprob),
      top: tokens.map((token) => token.top_logprobs.map((top) => [top.token, top.logprob])),
    };
  },
  several: async () => {
    const { choices, usage } = await create(HELLO, { n: 2 });
    return {
      texts: choices.map(({ message }) => message.content),
      indices: choices.map(({ index }) => index),
      prompt_tokens: usage.prompt_tokens,
      completion_tokens: usage.completion_tokens,
    };
  },
  stop: async () => told(await create(HELLO, { stop: [PROMPTS.stop] })),
  seed: async () => {
    const texts = [];
    for (const seed of [1, 1, 2]) texts.push(told(await create(HELLO, { temperature: 2, seed })).text);
    return texts;
  },
  length: async () => told(await create(HELLO, { max_tokens: 3 })),
  model_not_found: () => failsWith({ model: "nothing" }),
  bad_parameter: () => failsWith({ temperature: 9 }),
  broken_image: () => failsWith({}, [user(PROMPTS.describe, BROKEN_URL)]),
  retried: async () => {
    const retrying = new OpenAI({ baseURL: RETRY_URL, apiKey: "none", timeout: 60_000 });
    return told(await retrying.chat.completions.create(wishes(HELLO)));
  },
  aborted: async () => {
    const before = await cancelled();
    const stream = await create(HELLO, { max_tokens: 1500, ignore_eos: true, stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0].delta.content) break;
    }
    return cancelledMoreThan(before);
  },
  models: async () => {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    return ids;
  },
  model: async () => (await client.models.retrieve(MODEL)).id,
  no_such_model: () => failure(() => client.models.retrieve("nothing")),
});
