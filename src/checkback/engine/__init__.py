"""Jobs in BullMQ on Valkey or Redis. The only folder that knows either of them."""
