"""What this process tells of its own work: spans and figures for OpenTelemetry, figures for
Prometheus.

Names and attributes come from our own tables, enums and kinds: never arguments, texts or secrets.
"""
