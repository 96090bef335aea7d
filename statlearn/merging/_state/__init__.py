"""State dicts: how they are read from models, checked, and merged array by array."""
