"""The routes of the API, and the path of a command from its request to the booking client."""
