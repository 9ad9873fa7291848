"""Live events: what changed, told to whoever watches. Owns no truth and no decision: a lost event costs only time."""
