"""The pages: rendered from the same views as the API, drawn further by modules that use the API alone."""
