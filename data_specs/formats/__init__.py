"""Readers of published file formats, one module each: bytes in, frames or one clear refusal out."""
