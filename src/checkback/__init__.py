"""Durable background jobs that AI agents, programs and people can check back on."""
