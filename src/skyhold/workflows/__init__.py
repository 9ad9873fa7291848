"""The booking as a durable process, its time-outs and retries, and the one client through which it is reached."""
