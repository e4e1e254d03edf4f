"""Real MCP hosts, driven against checkback with a model that follows a script instead of thinking.

``python -m tests.acceptance.hosts.run HOST ...`` runs hosts by hand; two light ones run in CI.
"""
