"""The tokenizer of Llama 2, Vicuna and Mistral as LLaVA's checkpoints have it."""

from typing import Final

from benchmarks.shapes.shape import Json

UNK, BOS, EOS, IMAGE, PAD = "<unk>", "<s>", "</s>", "<image>", "<pad>"
LLAMA_SPECIALS: Final = {UNK: 0, BOS: 1, EOS: 2, IMAGE: 32000, PAD: 32001}
# After the special tokens and one token for each byte: a lone byte is not text.
LLAMA_TEXT_IDS: Final = range(3 + 256, 32000)
LLAMA_TOKENIZER: Final[Json] = {
    "add_bos_token": True,
    "add_eos_token": False,
    "added_tokens_decoder": {
        str(number): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for token, number in LLAMA_SPECIALS.items()
    },
    "bos_token": BOS,
    "clean_up_tokenization_spaces": False,
    "eos_token": EOS,
    "legacy": False,
    "model_max_length": 10**30,
    "pad_token": PAD,
    "padding_side": "left",
    "tokenizer_class": "LlamaTokenizer",
    "unk_token": UNK,
    "use_default_system_prompt": False,
}
LLAMA_GENERATION: Final[Json] = {
    "_from_model_config": True,
    "bos_token_id": LLAMA_SPECIALS[BOS],
    "eos_token_id": LLAMA_SPECIALS[EOS],
    "pad_token_id": LLAMA_SPECIALS[PAD],
}
