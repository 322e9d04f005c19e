"""What each conversation template makes of a few conversations, as in the released code."""

from server.prompt.example_turns import EXAMPLE_TURNS

USER = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions."
)
HUMAN = (
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the human's questions."
)
LLAMA_2 = (
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language."
)
MPT = (
    "A conversation between a user and an LLM-based AI assistant. The assistant gives helpful and "
    "honest answers."
)
LLAMA_2_PLAIN = (
    "You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, "
    "while being safe.  Your answers should not include any harmful, unethical, racist, sexist, "
    "toxic, dangerous, or illegal content. Please ensure that your responses are socially unbiased "
    "and positive in nature.\n\nIf a question does not make any sense, or is not factually "
    "coherent, explain why instead of answering something not correct. If you don't know the "
    "answer to a question, please don't share false information."
)
MMTAG = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant is able "
    "to understand the visual content that the user provides, and assist the user with a variety "
    "of tasks using natural language.The visual content will be provided with the following "
    "format: <Image>visual content</Image>."
)
QWEN = "You are a helpful assistant."
# Llama 3's turns: what its own template makes of the same conversations, after its BOS.
LLAMA_3_TURNS = (
    "<|start_header_id|>user<|end_header_id|>\n\n<image>\nWhat is this?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nA red cat.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n<image>\n<image>\nAnd these?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
LLAMA_3_QUESTION = (
    "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
LLAMA_3_SYSTEM = "<|start_header_id|>system<|end_header_id|>\n\n{}<|eot_id|>"
EXAMPLE = "###Human: {}###Assistant: {}###".format(*(turn.text for turn in EXAMPLE_TURNS))
V0 = (
    f"{HUMAN}{EXAMPLE}Human: <image>\nWhat is this?###Assistant: A red cat.###"
    "Human: <image>\n<image>\nAnd these?###Assistant:",
    f"{HUMAN}{EXAMPLE}Human: Hi###Assistant:",
)
# The output of the released code's `get_prompt` for a question about an image, an answer, and
# a question about two more; then for a single question.
PROMPTS = {
    "vicuna_v1": (
        f"{USER} USER: <image>\nWhat is this? ASSISTANT: A red cat.</s>"
        "USER: <image>\n<image>\nAnd these? ASSISTANT:",
        f"{USER} USER: Hi ASSISTANT:",
    ),
    "llava_v1": (
        f"{HUMAN} USER: <image>\nWhat is this? ASSISTANT: A red cat.</s>"
        "USER: <image>\n<image>\nAnd these? ASSISTANT:",
        f"{HUMAN} USER: Hi ASSISTANT:",
    ),
    "llava_v0": (
        f"{HUMAN}###Human: <image>\nWhat is this?###Assistant: A red cat.###"
        "Human: <image>\n<image>\nAnd these?###Assistant:",
        f"{HUMAN}###Human: Hi###Assistant:",
    ),
    **dict.fromkeys(("v0", "default"), V0),
    "llava_llama_2": (
        f"[INST] <<SYS>>\n{LLAMA_2}\n<</SYS>>\n\n<image>\nWhat is this? [/INST] A red cat. </s>"
        "<s>[INST] <image>\n<image>\nAnd these? [/INST]",
        f"[INST] <<SYS>>\n{LLAMA_2}\n<</SYS>>\n\nHi [/INST]",
    ),
    "llama_2": (
        f"[INST] <<SYS>>\n{LLAMA_2_PLAIN}\n<</SYS>>\n\n<image>\nWhat is this? [/INST] A red cat. "
        "</s><s>[INST] <image>\n<image>\nAnd these? [/INST]",
        f"[INST] <<SYS>>\n{LLAMA_2_PLAIN}\n<</SYS>>\n\nHi [/INST]",
    ),
    "mistral_instruct": (
        "[INST] <image>\nWhat is this? [/INST] A red cat. </s>"
        "[INST] <image>\n<image>\nAnd these? [/INST]",
        "[INST] Hi [/INST]",
    ),
    "chatml_direct": (
        "<|im_start|>system\nAnswer the questions.<|im_end|>"
        "<|im_start|>user\n<image>\nWhat is this?<|im_end|>"
        "<|im_start|>assistant\nA red cat.<|im_end|>"
        "<|im_start|>user\n<image>\n<image>\nAnd these?<|im_end|><|im_start|>assistant\n",
        "<|im_start|>system\nAnswer the questions.<|im_end|>"
        "<|im_start|>user\nHi<|im_end|><|im_start|>assistant\n",
    ),
    "mpt": (
        f"<|im_start|>system\n{MPT}<|im_end|>"
        "<|im_start|>user\n<image>\nWhat is this?<|im_end|>"
        "<|im_start|>assistant\nA red cat.<|im_end|>"
        "<|im_start|>user\n<image>\n<image>\nAnd these?<|im_end|><|im_start|>assistant\n",
        f"<|im_start|>system\n{MPT}<|im_end|><|im_start|>user\nHi<|im_end|><|im_start|>assistant\n",
    ),
    "llava_llama_3": (
        LLAMA_3_SYSTEM.format(LLAMA_2) + LLAMA_3_TURNS,
        LLAMA_3_SYSTEM.format(LLAMA_2) + LLAMA_3_QUESTION,
    ),
    "llama_3": (LLAMA_3_TURNS, LLAMA_3_QUESTION),
    "qwen_1_5": (
        f"<|im_start|>system\n{QWEN}<|im_end|>\n"
        "<|im_start|>user\n<image>\nWhat is this?<|im_end|>\n"
        "<|im_start|>assistant\nA red cat.<|im_end|>\n"
        "<|im_start|>user\n<image>\n<image>\nAnd these?<|im_end|>\n<|im_start|>assistant\n",
        f"<|im_start|>system\n{QWEN}<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    ),
    "v0_mmtag": (
        f"{MMTAG}###Human: <Image><image></Image>\nWhat is this?###Assistant: A red cat.###"
        "Human: <Image><image></Image>\n<Image><image></Image>\nAnd these?###Assistant:",
        f"{MMTAG}###Human: Hi###Assistant:",
    ),
    "v1_mmtag": (
        f"{MMTAG} USER: <Image><image></Image>\nWhat is this? ASSISTANT: A red cat.</s>"
        "USER: <Image><image></Image>\n<Image><image></Image>\nAnd these? ASSISTANT:",
        f"{MMTAG} USER: Hi ASSISTANT:",
    ),
    # As in training, without what the user says about an image.
    "plain": ("<image>A red cat.\n<image><image>", "Hi\n"),
}
# A single question with a system message, and with an empty one.
SYSTEMS = {
    "vicuna_v1": ("Be brief. USER: Hi ASSISTANT:", "USER: Hi ASSISTANT:"),
    "llava_v1": ("Be brief. USER: Hi ASSISTANT:", "USER: Hi ASSISTANT:"),
    "llava_v0": ("Be brief.###Human: Hi###Assistant:", "###Human: Hi###Assistant:"),
    **dict.fromkeys(
        ("v0", "default"),
        (f"Be brief.{EXAMPLE}Human: Hi###Assistant:", f"{EXAMPLE}Human: Hi###Assistant:"),
    ),
    "llava_llama_2": ("[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST]", "[INST] Hi [/INST]"),
    "llama_2": ("[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST]", "[INST] Hi [/INST]"),
    "mistral_instruct": ("[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST]", "[INST] Hi [/INST]"),
    "chatml_direct": (
        "<|im_start|>system\nBe brief.<|im_end|>"
        "<|im_start|>user\nHi<|im_end|><|im_start|>assistant\n",
        "<|im_start|>user\nHi<|im_end|><|im_start|>assistant\n",
    ),
    "mpt": (
        "<|im_start|>system\nBe brief.<|im_end|>"
        "<|im_start|>user\nHi<|im_end|><|im_start|>assistant\n",
        "<|im_start|>user\nHi<|im_end|><|im_start|>assistant\n",
    ),
    "llava_llama_3": (
        LLAMA_3_SYSTEM.format("Be brief.") + LLAMA_3_QUESTION,
        LLAMA_3_QUESTION,
    ),
    "llama_3": (LLAMA_3_SYSTEM.format("Be brief.") + LLAMA_3_QUESTION, LLAMA_3_QUESTION),
    "qwen_1_5": (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    ),
    "v0_mmtag": ("Be brief.###Human: Hi###Assistant:", "###Human: Hi###Assistant:"),
    "v1_mmtag": ("Be brief. USER: Hi ASSISTANT:", "USER: Hi ASSISTANT:"),
    "plain": ("Be brief.Hi\n", "Hi\n"),
}
