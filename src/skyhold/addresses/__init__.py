"""Addresses of servers from settings: parsing, validation, and display without secrets."""
