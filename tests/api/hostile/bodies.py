"""Hostile bodies: each field that can be large or deep, with the answer that it must get.

A body is built by a function, when its test runs: together they would take gigabytes.
"""

import json

from tests.api.hostile.building import (
    CHAT,
    CONTEXT,
    DETOKENIZE,
    INVALID,
    JSON,
    MANY,
    PICTURE,
    RESPONSES,
    TEXT,
    TOKENIZE,
    UNSUPPORTED,
    called,
    chat,
    completion,
    deep_schema,
    hostile,
    nested,
    pasted_picture,
    raw,
    response,
    schema_format,
    tool,
)
from tests.api.pictures import image_part, text_part, user

LONG_TEXT = {
    "words in a message": hostile(CHAT, lambda: chat(user("word " * (MANY // 5))), CONTEXT),
    "one word of ten million letters": hostile(CHAT, lambda: chat(user("x" * MANY)), CONTEXT),
    "a picture pasted as text": hostile(
        CHAT, lambda: chat(user(text_part(pasted_picture()))), CONTEXT
    ),
    "a system message of emoji": hostile(
        CHAT,
        lambda: chat({"role": "system", "content": "\U0001f600" * (MANY // 4)}, user("Hi")),
        CONTEXT,
        INVALID,
    ),
    "names of control tokens": hostile(
        CHAT, lambda: chat(user("<image></s>[INST]USER:" * (MANY // 20))), CONTEXT, INVALID
    ),
    "escapes only": hostile(
        CHAT,
        lambda: json.dumps(chat(user("@"))).encode().replace(b"@", b"\\u0041" * MANY),
        CONTEXT,
        INVALID,
    ),
    "emoji": hostile(
        CHAT, lambda: raw(chat(), "user", b'"%s"' % ("\U0001f600".encode() * 15_000_000)), INVALID
    ),
    "escaped line ends": hostile(
        CHAT,
        lambda: json.dumps(chat(user("@"))).encode().replace(b"@", b"\\n" * 32_000_000),
        CONTEXT,
        INVALID,
    ),
    "short escapes between letters": hostile(
        CHAT,
        lambda: json.dumps(chat(user("@"))).encode().replace(b"@", b"a\\n" * 21_000_000),
        CONTEXT,
        INVALID,
    ),
    "a tool's answer": hostile(
        CHAT,
        lambda: chat(*called("{}")[:2], {**called("{}")[2], "content": "a " * 5_000_000}),
        CONTEXT,
    ),
    "arguments of an earlier call": hostile(
        CHAT, lambda: chat(*called(json.dumps({"a": "b" * MANY}))), CONTEXT, INVALID
    ),
    "a tool's description": hostile(
        CHAT, lambda: chat(tools=[tool(description="a " * 5_000_000)]), CONTEXT, INVALID
    ),
    "a prompt": hostile(TEXT, lambda: completion("word " * (MANY // 5)), CONTEXT),
    "a hundred prompts": hostile(
        TEXT, lambda: completion(["word " * (MANY // 500)] * 100), CONTEXT
    ),
    "an echoed prompt": hostile(
        TEXT, lambda: completion("x " * (MANY // 2), echo=True, logprobs=5, max_tokens=0), CONTEXT
    ),
    "the input of a response": hostile(RESPONSES, lambda: response("word " * 2_000_000), CONTEXT),
    "instructions": hostile(
        RESPONSES, lambda: response("Hi", instructions="word " * 2_000_000), CONTEXT
    ),
    "a function's output": hostile(
        RESPONSES,
        lambda: response(
            [
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "a " * 5_000_000},
            ]
        ),
        CONTEXT,
    ),
    "a text to tokenize": hostile(
        TOKENIZE, lambda: {"prompt": "word " * 2_000_000, "return_token_strs": True}, INVALID
    ),
    "a conversation to tokenize": hostile(
        TOKENIZE, lambda: {"messages": [user("x" * MANY)]}, INVALID
    ),
}

MANY_ELEMENTS = {
    "messages that are numbers": hostile(CHAT, lambda: chat(*[1] * 7_000_000), INVALID),
    "as many numbers as JSON may hold": hostile(CHAT, lambda: chat(*[1] * 250_000), INVALID),
    "a hundred thousand messages": hostile(CHAT, lambda: chat(*[user("Hi")] * 100_000), INVALID),
    "thirty thousand messages": hostile(
        CHAT, lambda: chat(*[user("Hi")] * 30_000), CONTEXT, INVALID
    ),
    "thirty thousand empty parts": hostile(
        CHAT, lambda: chat(user(*[text_part("")] * 30_000)), CONTEXT, INVALID, None
    ),
    "fifty thousand images": hostile(
        CHAT, lambda: chat(user(*[image_part(PICTURE)] * 50_000)), INVALID
    ),
    "fifteen thousand images": hostile(
        CHAT, lambda: chat(user(*[image_part(PICTURE)] * 15_000)), "too_many_images", INVALID
    ),
    "images of a response": hostile(
        RESPONSES,
        lambda: response(
            [
                {
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": "data:,"}] * 30_000,
                }
            ]
        ),
        "too_many_images",
        INVALID,
    ),
    "items of a response": hostile(RESPONSES, lambda: response([1] * 250_000), INVALID),
    "tools": hostile(CHAT, lambda: chat(tools=[tool(f"f{n}") for n in range(10_000)]), INVALID),
    "calls in a message": hostile(
        CHAT,
        lambda: chat(
            user("Hi"),
            {"role": "assistant", "tool_calls": called("{}")[1]["tool_calls"] * 15_000},
        ),
        CONTEXT,
        INVALID,
    ),
    "stop strings": hostile(CHAT, lambda: chat(stop=["a"] * 200_000), INVALID),
    "stop tokens": hostile(CHAT, lambda: chat(stop_token_ids=[1] * 200_000), INVALID),
    "biased tokens": hostile(
        CHAT, lambda: chat(logit_bias={str(n): 1 for n in range(200_000)}), INVALID
    ),
    "biased tokens by one name": hostile(
        CHAT, lambda: raw(chat(), "logit_bias", b"{" + b'"1":1,' * 60_000 + b'"1":1}'), None
    ),
    "metadata": hostile(
        CHAT, lambda: chat(metadata={f"k{n}": "v" for n in range(200_000)}), None, INVALID
    ),
    "unknown fields": hostile(
        CHAT, lambda: chat(**{f"k{n}": 1 for n in range(60_000)}), UNSUPPORTED
    ),
    "one field many times": hostile(
        CHAT, lambda: b"{" + b'"n":1,' * 60_000 + json.dumps(chat()).encode()[1:], None
    ),
    "prompts": hostile(TEXT, lambda: completion(["Hi"] * 200_000), INVALID),
    "token ids of a prompt": hostile(TEXT, lambda: completion([5] * 250_000), CONTEXT),
    "token ids beyond JSON's bound": hostile(TEXT, lambda: completion([5] * 7_000_000), INVALID),
    "prompts of token ids": hostile(TEXT, lambda: completion([[5]] * 30_000), INVALID),
    "token ids to detokenize": hostile(
        DETOKENIZE, lambda: {"tokens": [5] * 250_000}, None, CONTEXT, INVALID
    ),
    "token ids that are none": hostile(DETOKENIZE, lambda: {"tokens": ["a"] * 250_000}, INVALID),
    "messages to tokenize": hostile(TOKENIZE, lambda: {"messages": [1] * 250_000}, INVALID),
}

NESTING = {
    "metadata of 30,000 levels": hostile(
        CHAT, lambda: raw(chat(), "metadata", nested(30_000)), JSON, INVALID
    ),
    "metadata of 30 million levels": hostile(
        CHAT, lambda: raw(chat(), "metadata", nested(30_000_000)), JSON, INVALID
    ),
    "a body that only opens": hostile(CHAT, lambda: b"[" * 60_000_000, JSON, INVALID),
    "objects that only open": hostile(CHAT, lambda: b'{"a":' * 30_000, JSON, INVALID),
    "nested content": hostile(
        CHAT,
        lambda: (
            b'{"model": "llava-tiny", "messages": [{"role": "user", "content": '
            + nested(10_000)
            + b"}]}"
        ),
        JSON,
        INVALID,
    ),
    "a schema of 100 levels": hostile(
        CHAT, lambda: chat(response_format=schema_format(deep_schema(60))), None, INVALID
    ),
    "a schema of 10,000 levels": hostile(
        CHAT,
        lambda: raw(
            chat(),
            "response_format",
            b'{"type": "json_schema", "json_schema": {"name": "s", "schema": '
            + b'{"items":' * 10_000
            + b"{}"
            + b"}" * 10_000
            + b"}}",
        ),
        JSON,
        INVALID,
    ),
    "template arguments": hostile(
        CHAT, lambda: chat(chat_template_kwargs={"a": [[0] * 200] * 1000}), None, INVALID
    ),
    "arguments of a call": hostile(CHAT, lambda: chat(*called("[" * 100_000)), CONTEXT, INVALID),
    "a schema of a tool": hostile(
        CHAT,
        lambda: chat(tools=[tool(parameters=deep_schema(60))], tool_choice="required"),
        None,
        CONTEXT,
        INVALID,
    ),
}

STRINGS = {
    "a model": hostile(CHAT, lambda: chat(model="m" * 20_000_000), "model_not_found", INVALID),
    "a model of a response": hostile(
        RESPONSES, lambda: response("Hi", model="m" * MANY), "model_not_found", INVALID
    ),
    "a model to tokenize": hostile(
        TOKENIZE, lambda: {"model": "m" * MANY, "prompt": "Hi"}, "model_not_found", INVALID
    ),
    "a model to detokenize": hostile(
        DETOKENIZE, lambda: {"model": "m" * MANY, "tokens": [5]}, "model_not_found", INVALID
    ),
    "a user": hostile(CHAT, lambda: chat(user="u" * 20_000_000), None, INVALID),
    "a key of metadata": hostile(CHAT, lambda: chat(metadata={"k" * MANY: "v"}), None, INVALID),
    "an unknown field": hostile(CHAT, lambda: chat(**{"k" * 20_000_000: 1}), UNSUPPORTED),
    "an unknown key of a part": hostile(
        CHAT, lambda: chat(user({**text_part("Hi"), "k" * MANY: 1})), UNSUPPORTED
    ),
    "a role": hostile(CHAT, lambda: chat({"role": "r" * MANY, "content": "Hi"}), INVALID),
    "a type of a part": hostile(CHAT, lambda: chat(user({"type": "t" * MANY})), INVALID),
    "a stop string": hostile(CHAT, lambda: chat(stop="s" * MANY), INVALID),
    "a biased token": hostile(CHAT, lambda: chat(logit_bias={"9" * MANY: 1}), INVALID),
    "a name of a tool": hostile(CHAT, lambda: chat(tools=[tool("f" * MANY)]), INVALID),
    "a chosen tool": hostile(
        CHAT, lambda: chat(tools=[tool()], tool_choice=tool("g" * MANY)), INVALID
    ),
    "an id of a call": hostile(
        CHAT,
        lambda: chat(
            *called("{}")[:2], {"role": "tool", "tool_call_id": "i" * MANY, "content": "yes"}
        ),
        None,
        CONTEXT,
        INVALID,
    ),
    "a name of a schema": hostile(
        CHAT,
        lambda: chat(response_format={"type": "json_schema", "json_schema": {"name": "s" * MANY}}),
        INVALID,
    ),
    "an earlier response": hostile(
        RESPONSES, lambda: response("Hi", previous_response_id="r" * MANY), UNSUPPORTED
    ),
}

NUMBERS = {
    "a million digits of max_tokens": hostile(
        CHAT, lambda: raw(chat(), "max_completion_tokens", b"9" * 1_000_000), INVALID, JSON
    ),
    "ten million digits of a seed": hostile(
        CHAT, lambda: raw(chat(), "seed", b"-" + b"9" * MANY), INVALID, JSON
    ),
    "ten million digits of an ignored field": hostile(
        CHAT, lambda: raw(chat(), "user", b"9" * MANY), None, INVALID, JSON
    ),
    "a fraction of ten million digits": hostile(
        CHAT, lambda: raw(chat(), "temperature", b"0." + b"1" * MANY), None, INVALID, JSON
    ),
    "an exponent": hostile(CHAT, lambda: raw(chat(), "temperature", b"1e999999999"), INVALID, JSON),
    "an exponent of a million digits": hostile(
        CHAT, lambda: raw(chat(), "top_p", b"1e" + b"9" * 1_000_000), INVALID, JSON
    ),
    "no number": hostile(CHAT, lambda: raw(chat(), "temperature", b"NaN"), INVALID, JSON),
    "infinity": hostile(
        CHAT, lambda: raw(chat(), "logit_bias", b'{"1": -Infinity}'), INVALID, JSON
    ),
    "a count of choices": hostile(CHAT, lambda: chat(n=10**18), INVALID),
    "log probabilities": hostile(CHAT, lambda: chat(logprobs=True, top_logprobs=10**9), INVALID),
    "huge token ids": hostile(TEXT, lambda: completion([2**62] * 200_000), INVALID),
    "negative token ids": hostile(DETOKENIZE, lambda: {"tokens": [-1] * 200_000}, INVALID),
    "most choices with most log probabilities": hostile(
        CHAT, lambda: chat(n=128, logprobs=True, top_logprobs=20, max_tokens=8), None
    ),
}
