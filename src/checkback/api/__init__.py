"""The APIs. Each translates requests and calls the service; none imports another."""
