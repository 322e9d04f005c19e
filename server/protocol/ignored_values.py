"""Fields that this server knows and does not need, of all endpoints, and the values it accepts.

These values change nothing, so they are accepted, as is null. Any other value asks for something
unsupported: an error. The paths are those of `server.protocol.extra_fields`, without indices. A
field that an endpoint does support is never looked up here.
"""

from typing import Any, Final

from server.protocol.image_source import FIELDS

# Every value is ignored.
ANY_VALUE: Final = (...,)
# Only null is.
NULL_ONLY: Final[tuple[Any, ...]] = ()

_OPENAI: Final[dict[str, tuple[Any, ...]]] = {
    "access_programs": NULL_ONLY,
    "audio": NULL_ONLY,
    "background": (False,),
    "background_options": NULL_ONLY,
    "best_of": (1,),
    "context_management": ([], {"edits": []}),
    "conversation": NULL_ONLY,
    "echo": (False,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "image": NULL_ONLY,
    "include": ([],),
    "instructions": NULL_ONLY,
    "logprobs": (False,),
    "max_completion_tokens": NULL_ONLY,
    "max_output_tokens": NULL_ONLY,
    "max_tokens": NULL_ONLY,
    "max_tool_calls": ANY_VALUE,  # of built-in tools, which there are none of
    "metadata": ANY_VALUE,
    "modalities": (["text"],),
    "moderation": NULL_ONLY,
    "parallel_tool_calls": ANY_VALUE,
    "prediction": NULL_ONLY,
    "previous_response_id": NULL_ONLY,
    "prompt": NULL_ONLY,
    "prompt_cache_key": ANY_VALUE,
    "prompt_cache_options": ANY_VALUE,
    "prompt_cache_retention": ANY_VALUE,
    "reasoning": ({}, {"effort": "medium"}, {"effort": "none"}),
    "reasoning_effort": ("medium", "none"),
    "response_format": ({"type": "text"},),
    "safety_identifier": ANY_VALUE,
    "service_tier": ANY_VALUE,
    "store": ANY_VALUE,
    "suffix": ("",),
    "text": (
        *({}, {"format": {"type": "text"}}, {"verbosity": "medium"}),
        {"format": {"type": "text"}, "verbosity": "medium"},
    ),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "truncation": ("disabled",),
    "user": ANY_VALUE,
    "verbosity": ("medium",),
    "web_search_options": NULL_ONLY,
}

# vLLM's own, at its defaults.
_VLLM: Final[dict[str, tuple[Any, ...]]] = {
    "add_generation_prompt": (True,),
    "add_special_tokens": (False,),
    "allowed_token_ids": NULL_ONLY,
    "bad_words": ([],),
    "cache_salt": NULL_ONLY,
    "chat_template": NULL_ONLY,
    "chat_template_kwargs": ({},),
    "continue_final_message": (False,),
    "documents": ([],),
    "early_stopping": (False,),
    "frequency_penalty": (0,),
    **{f"guided_{name}": NULL_ONLY for name in ("json", "regex", "choice", "grammar")},
    "ignore_eos": (False,),
    "include_stop_str_in_output": (False,),
    "guided_decoding_backend": ANY_VALUE,
    "guided_whitespace_pattern": NULL_ONLY,
    "include_reasoning": ANY_VALUE,
    "kv_transfer_params": NULL_ONLY,
    "length_penalty": (1,),
    "logit_bias": ({},),
    "logits_processors": ([],),
    "media_io_kwargs": ({},),
    "min_p": (0,),
    "min_tokens": (0,),
    "mm_processor_kwargs": ({},),
    "n": (1,),
    "presence_penalty": (0,),
    "priority": (0,),
    "prompt_logprobs": NULL_ONLY,
    "repetition_detection": NULL_ONLY,
    "repetition_penalty": (1,),
    "request_id": ANY_VALUE,
    "return_prompt_text": (False,),
    "return_token_ids": (False,),
    "return_token_offsets": (False,),
    "return_tokens_as_token_ids": (False,),
    "seed": NULL_ONLY,
    "session_id": ANY_VALUE,
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "stop": ([], ""),
    "stop_token_ids": ([],),
    "stream": (False,),
    "stream_interval": (1,),
    "stream_options": ({}, {"include_usage": False}, {"include_usage": True}),
    "structured_outputs": NULL_ONLY,
    "structured_outputs.disable_additional_properties": (False,),
    "structured_outputs.disable_any_whitespace": (False,),
    "structured_outputs.disable_fallback": ANY_VALUE,
    "structured_outputs.structural_tag": NULL_ONLY,
    "structured_outputs.whitespace_pattern": NULL_ONLY,
    "temperature": (1,),
    "thinking_token_budget": NULL_ONLY,
    "top_k": (0, -1),
    "top_p": (1,),
    "truncate_prompt_tokens": NULL_ONLY,
    "truncation_side": ("left",),
    "use_beam_search": (False,),
    "vllm_xargs": ({},),
    "watermarking": (False,),
}

# Anthropic's.
_ANTHROPIC: Final[dict[str, tuple[Any, ...]]] = {
    "cache_control": ANY_VALUE,
    "container": NULL_ONLY,
    "output_config": ({},),
    "stop_sequences": ([],),
    "system": ("", []),
    "thinking": ({"type": "disabled"},),
    "thread": ({"type": "create"},),
    "diagnostics": NULL_ONLY,
    "inference_geo": ANY_VALUE,
    "mcp_servers": ([],),
    "speed": ("standard",),
    "thinking.budget_tokens": NULL_ONLY,
    "thinking.display": ANY_VALUE,
    "user_profile_id": ANY_VALUE,
    "workspace_id": ANY_VALUE,
}

# What client libraries put into messages, parts and tools, above all when they send answers back.
_MESSAGE: Final = (
    *("annotations", "cache_control", "created_at", "id", "metadata", "model", "name", "object"),
    *("parsed", "phase", "prefix", "provider_specific_fields", "reasoning", "reasoning_content"),
    *("reasoning_details", "refusal", "status", "stop_reason", "thinking", "thinking_blocks"),
    *("timestamp", "token_ids", "usage"),
)
_PART: Final = (
    *("annotations", "cache_control", "id", "logprobs", "metadata", "parsed", "uuid"),
    *("prompt_cache_breakpoint", "provider_specific_fields", "status"),
)
_CALL: Final = (
    *(
        "async",
        "async_",
        "caller",
        "cache_control",
        "created_by",
        "extra_content",
        "id",
        "index",
        "metadata",
    ),
    *("name", "namespace", "parsed_arguments", "provider_specific_fields", "status"),
)
_TOOL: Final = (
    *("allowed_callers", "async", "async_", "cache_control", "defer_loading"),
    *("eager_input_streaming", "input_examples", "output_schema"),
)
_BLOCK: Final = (
    *("cache_control", "caller", "citations", "data", "signature", "thinking", "toolset_name"),
    "transformations",
)
_IMAGE: Final = ("detail", "filename", "format", "media_type", "mime_type", "name", "uuid")


def _place(place: str, names: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
    return {f"{place}.{name}": ANY_VALUE for name in names}


def _place_in_images(part: str) -> dict[str, tuple[Any, ...]]:
    return {
        path: accepted
        for field in FIELDS
        for path, accepted in _place(f"{part}.{field}", _IMAGE).items()
    }


_NESTED: Final[dict[str, tuple[Any, ...]]] = {
    **_place("messages[]", _MESSAGE),
    "messages[].audio": NULL_ONLY,
    "messages[].function_call": NULL_ONLY,
    "messages[].content[].file_id": NULL_ONLY,
    **_place("messages[].content[]", _PART),
    **_place("messages[].content[]", _BLOCK),
    **_place("messages[].content[].content[]", _BLOCK),
    **_place("system[]", _BLOCK),
    **_place_in_images("messages[].content[]"),
    **_place("messages[].content[].video_url", _IMAGE),
    **_place("messages[].tool_calls[]", _CALL),
    **_place("messages[].tool_calls[].function", _CALL),
    **_place("tools[]", _TOOL),
    **_place("tools[].function", _TOOL),
    **_place("input[]", (*_MESSAGE, *_CALL, "content", "encrypted_content", "summary")),
    **_place("input[].content[]", _PART),
    **_place_in_images("input[].content[]"),
    **_place("input[].output[]", _PART),
    **_place_in_images("input[].output[]"),
    "media_io_kwargs.audio": ({},),
    "media_io_kwargs.image": ({},),
    "reasoning.context": ("auto",),
    "reasoning.generate_summary": ANY_VALUE,
    "reasoning.mode": ("standard",),
    "stream_options.include_obfuscation": ANY_VALUE,
    "stream_options.include_usage": ANY_VALUE,
    "stream_options.continuous_usage_stats": (False,),
}

IGNORED_VALUES: Final = _OPENAI | _VLLM | _ANTHROPIC | _NESTED

_STATELESS: Final = "this server keeps no state, so send the whole conversation"
# Why other values are refused and what to do instead, where that is not plain.
REMEDIES: Final[dict[str, str]] = {
    **dict.fromkeys(("background", "conversation", "previous_response_id"), _STATELESS),
    "function_call": "use 'tool_choice'",
    "functions": "use 'tools'",
    "image": "send an image_url part in 'messages'",
    "instructions": "send a system message",
    "max_completion_tokens": "use 'max_tokens' or, in responses, 'max_output_tokens'",
    "max_output_tokens": "use 'max_tokens'",
    "max_tokens": "use 'max_output_tokens'",
    "messages[].function_call": "use 'tool_calls'",
    "prompt": (
        "this server keeps no state, so send 'messages' or, in responses, 'input';"
        " /v1/completions takes a 'prompt'"
    ),
    "response_format": "in responses, use 'text.format'",
    "text": "use 'response_format'",
    "tools": "chats, responses and messages take them",
    "use_beam_search": "use sampling with 'n'",
}
