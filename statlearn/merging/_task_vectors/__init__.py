"""What tuning adds to a model, as a vector to calculate with."""
