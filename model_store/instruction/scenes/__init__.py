"""Instruction data from drawn scenes, whose symbols serve as captions and boxes."""
