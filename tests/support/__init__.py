"""What tests share: real servers, an in-process worker, builders, a gateway that follows a script."""
