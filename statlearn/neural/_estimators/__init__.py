"""What the neural estimators share, from their rows to their files."""
