"""The report of an analysis."""

from checkback.kinds.pages.report.report import report_schema

__all__ = ["report_schema"]
