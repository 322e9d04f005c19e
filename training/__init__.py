"""Trains llava-tiny: the paper's two stages on drawn scenes."""
