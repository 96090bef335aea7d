"""Lining the units of networks up: permutations, flips, and how they are found."""
