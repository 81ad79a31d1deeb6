"""Kinds of blocks, one file each; `table` lists them."""
