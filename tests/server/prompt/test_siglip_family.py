"""Templates of LLaVA-OneVision and Interleave."""

from collections.abc import Callable
from pathlib import Path

import pytest

from server.checkpoint.config import read_checkpoint
from server.prompt.chat_template import ChatTemplate
from server.prompt.format import choose_prompt_format
from server.prompt.templates import TEMPLATES
from server.prompt.tokenizer import read_tokenizer
from tests.server.siglip_family import SiglipCheckpoint, write_interleave, write_onevision


@pytest.mark.parametrize("write", [write_onevision, write_interleave])
def test_the_checkpoints_own_template_comes_first(
    write: Callable[[Path], SiglipCheckpoint], tmp_path: Path
) -> None:
    written = write(tmp_path)
    text, tokenizer = read_checkpoint(written.path).text, read_tokenizer(written.path)
    chosen = choose_prompt_format(tokenizer, text)
    assert isinstance(chosen.template, ChatTemplate)
    assert (chosen.stop.strings, chosen.stop.token_ids) == ((), ())  # the EOS ends turns
    (written.path / "chat_template.json").unlink()
    text = read_checkpoint(written.path).text
    assert choose_prompt_format(tokenizer, text).template is TEMPLATES["qwen_1_5"]
