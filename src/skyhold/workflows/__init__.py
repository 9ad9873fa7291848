"""The booking as a durable process, its timeouts and retries, and the one client through which it is reached."""
