"""The MCP API: server, tools, tasks, resources and subscriptions."""
