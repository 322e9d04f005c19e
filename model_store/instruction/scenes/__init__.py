"""Instruction data from drawn scenes, whose symbols play the role of captions and boxes."""
