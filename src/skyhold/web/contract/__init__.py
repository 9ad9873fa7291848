"""The OpenAPI document: built from the routes and schemas, read for the words of errors, served with its pages."""
