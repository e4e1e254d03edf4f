"""PDF.co's vocabulary: requests, responses, profiles and MCP tools."""
