"""The work: the registry of kinds, what a running job may say, and the built-in kinds.

Nothing here imports the engine or a door. Job functions run in child processes only.
"""
