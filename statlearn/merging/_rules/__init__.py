"""The merge rules, their table, and what calls any of them."""
