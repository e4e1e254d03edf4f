"""The connection to Redis or Valkey: scripts, keys, event feeds and the embedded store."""
