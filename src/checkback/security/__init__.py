"""Every safety decision, each testable alone: addresses, the egress proxy, access, seals,
redaction.
"""
