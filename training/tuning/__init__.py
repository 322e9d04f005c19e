"""The paper's two stages for any CLIP tower and any language model."""
