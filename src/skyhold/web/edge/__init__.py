"""The middleware around the routes, and the server under them: everything that applies to every request."""
