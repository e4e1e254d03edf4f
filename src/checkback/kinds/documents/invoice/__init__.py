"""Invoices: fields and line items."""
