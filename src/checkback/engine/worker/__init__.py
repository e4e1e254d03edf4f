"""The worker process: it takes jobs from the queues and supervises the processes that run them."""
