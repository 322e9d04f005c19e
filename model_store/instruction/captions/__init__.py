"""Instruction data from captions and boxes, written by a text-only teacher."""
