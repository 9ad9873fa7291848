"""The pages: rendered from the same views as the API, made interactive by modules that use only the API."""
