"""How near two networks are: the loss between them, what their layers share."""
