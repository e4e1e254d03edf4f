"""Breaks a running checkback by a seeded plan, writes down what everybody saw, and checks the
promises from that.

``python -m chaos --seconds 90 --seed 7``; docs/reliability.md says what it proves and with which
figures.
"""
