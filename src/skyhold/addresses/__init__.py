"""Addresses of servers as settings give them: what each part means, and how an address is shown without a secret."""
