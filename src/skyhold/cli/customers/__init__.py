"""The customer's commands, and the client of the API that they share."""
