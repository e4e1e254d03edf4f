"""MCP messages before and after the server: JSON-RPC over HTTP and stdio, and sessions."""
