"""The MCP tools, and what they have in common."""
