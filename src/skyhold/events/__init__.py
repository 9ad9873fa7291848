"""Live events: changes, published to all followers. They are hints only: a lost event costs nothing but time."""
