"""Models in files: safetensors, alone or in folders, and merging them there."""
