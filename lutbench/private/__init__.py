"""What lutbench uses of other packages without their promise that it stays: one file a package, and nowhere else.

Each file says for which versions it was written. Where a version lacks the private name, the public call is used; where
there is none, an error says what is missing. tests/private/ tests both ways, and that no other file does so.
"""
