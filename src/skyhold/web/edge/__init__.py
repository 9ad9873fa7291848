"""The middleware around the routes, and the server under them: everything that holds for each request alike."""
