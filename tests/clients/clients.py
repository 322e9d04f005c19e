"""The client programs and their scenarios."""

from typing import Final

TEXT = "plain several_turns"
IMAGES = "image image_streamed streamed system"
SAMPLING = "length seed stop"
TOOLS = "tool_auto tool_named tool_required tool_streamed tool_two"
ERRORS = "bad_parameter broken_image model_not_found"
OPENAI_CHAT = (
    f"{TEXT} {IMAGES} {SAMPLING} {TOOLS} {ERRORS} aborted json_object logprobs model models "
    "no_such_model retried several stream_helper structured structured_image structured_streamed "
    "system_parts tool_round_trip tool_stream_helper"
)
RESPONSES = (
    "response response_broken_image response_image response_instructions response_model_not_found "
    "response_streamed response_structured response_tool response_tool_streamed"
)
MESSAGES = (
    "message message_aborted message_asynchronous message_bad_parameter message_broken_image "
    "message_count message_events message_image message_image_streamed message_length "
    "message_model_not_found message_parsed message_retried message_round_trip message_stop "
    "message_streamed message_structured message_system message_tool message_tool_named "
    "message_tool_streamed message_turns"
)
AI_SDK = (
    f"{TEXT} {IMAGES} {TOOLS} {ERRORS} length retried structured structured_by_output "
    "structured_image structured_streamed tool_loop"
)

# By program; its docstring or first comment names the client.
SCENARIOS: Final[dict[str, frozenset[str]]] = {
    program: frozenset(scenarios.split())
    for program, scenarios in {
        "openai_python.py": (
            f"{OPENAI_CHAT} developer length_in_completion_tokens several_streamed"
        ),
        "openai_python_others.py": (
            f"{RESPONSES} completion completion_echo completion_logprobs completion_streamed "
            "response_events response_length response_round_trip response_turns"
        ),
        "openai_async.py": (
            "aborted at_once image image_streamed plain response_streamed retried streamed "
            "structured"
        ),
        "anthropic_python.py": MESSAGES,
        "langchain_openai.py": (
            f"{TEXT} {IMAGES} {SAMPLING} {TOOLS} {ERRORS} asynchronous image_of_its_own "
            "json_object logprobs response retried several structured structured_by_tool "
            "structured_streamed structured_strict tool_loop tool_round_trip"
        ),
        "llama_index_openai_like.py": (
            f"{TEXT} {IMAGES} {SAMPLING} {TOOLS} asynchronous bad_parameter completion "
            "model_not_found retried structured structured_by_tool tool_loop"
        ),
        "litellm_sdk.py": (
            f"{TEXT} {IMAGES} {SAMPLING} {TOOLS} {ERRORS} asynchronous completion json_object "
            "logprobs response retried several structured system_parts tool_round_trip"
        ),
        "instructor_modes.py": (
            "json_object model_not_found plain retried structured structured_by_tool "
            "structured_image structured_list structured_streamed structured_strict"
        ),
        "pydantic_ai_agent.py": (
            f"{TEXT} {IMAGES} {SAMPLING} bad_parameter model_not_found response retried structured "
            "structured_by_tool structured_image structured_streamed tool_loop tool_two"
        ),
        "llm_cli.py": (
            f"{TEXT} {IMAGES} {SAMPLING} command_image json_object model_not_found "
            "structured tool_auto"
        ),
        "openai_node.mjs": f"{OPENAI_CHAT} tool_loop",
        "openai_node_others.mjs": f"{RESPONSES} completion completion_streamed",
        "ai_sdk_compatible.mjs": f"{AI_SDK} aborted completion seed stop",
        "ai_sdk_openai_chat.mjs": AI_SDK,
        "ai_sdk_openai_responses.mjs": AI_SDK,
    }.items()
}
