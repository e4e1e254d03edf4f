"""What every HTTP request passes first: authentication, request ids, instrumentation, timeouts."""
