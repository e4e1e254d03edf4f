"""The native HTTP API under ``/api``: jobs, uploads, metrics and the OpenAPI document."""
