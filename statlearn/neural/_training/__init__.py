"""What the training loop is made of; the loop itself is `neural/_loop.py`."""
