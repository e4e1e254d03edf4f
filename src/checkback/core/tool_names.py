"""The names of MCP tools, and which of them are reserved.

Every kind is a tool by itself, so a kind may not have the name of another tool. Both forms of a
name can be called: ``page.getJobStatus`` and ``page_get_job_status``.
"""

from __future__ import annotations

import re
from typing import Final

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

PORTABLE: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What model APIs accept as the name of a tool."""


def underscore(name: str) -> str:
    """The form of a tool's name without dots: ``page.getJobStatus`` is ``page_get_job_status``."""
    return _CAMEL.sub("_", name.replace(".", "_")).lower()


_TAKEN = """
    job_status job_wait job_result job_list job_cancel job_retry job_delete job_card job_submit
    kind_search kind_describe page_analyze page_get_job_status get_job_check wait_job_completion
    upload_file ai_invoice_parser create_fillable_forms csv_to_pdf document_to_pdf email_to_pdf
    excel_to_csv excel_to_html excel_to_json excel_to_pdf excel_to_txt excel_to_xml
    extract_attachments fill_forms find_table find_text html_to_pdf image_to_pdf
    pdf_add_annotations_images_fields pdf_add_password pdf_info_reader pdf_make_searchable
    pdf_make_unsearchable pdf_merge pdf_remove_password pdf_split pdf_to_csv pdf_to_html
    pdf_to_image pdf_to_json pdf_to_text pdf_to_xls pdf_to_xlsx pdf_to_xml read_pdf_forms_info
    webpage_to_pdf
"""
RESERVED: Final = frozenset(_TAKEN.split())
"""Names of tools that users' kinds may not have, in the form with underscores.

A built-in kind may share its name with the tool that stands for it: ``pdf.to_text``.
"""
