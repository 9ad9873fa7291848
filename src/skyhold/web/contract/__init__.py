"""The OpenAPI document: built from the routes and schemas, used for the texts of errors, served with its pages."""
