"""The MCP tools, and what they share."""
