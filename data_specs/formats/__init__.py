"""Readers of published file formats, one module each: bytes in, frames with our column names or one clear refusal out."""
