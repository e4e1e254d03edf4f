"""What this process reports about its work: spans and metrics for OpenTelemetry, metrics for
Prometheus.

Names and attributes come from our own tables, enums and kinds: never arguments, texts or secrets.
"""
