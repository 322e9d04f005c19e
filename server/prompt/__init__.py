"""From messages to prompt_token_ids, as the checkpoint was trained."""
