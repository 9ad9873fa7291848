"""Shared helpers of tests: real servers, an in-process worker, builders, a gateway that follows a script."""
