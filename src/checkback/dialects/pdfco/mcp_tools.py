"""The 38 tools of PDF.co's MCP server: names, parameters and defaults, as data.

36 of them start a job at one endpoint each or upload a file; ``get_job_check`` and
``wait_job_completion`` ask for one. Texts are our own; names and defaults are PDF.co's. Parameters
that every tool repeats have no description, because each of them is 36 times in an agent's context:
the server's instructions explain them once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a tool. Without a default it is required."""

    name: str
    schema: Schema
    required: bool = False


@dataclass(frozen=True, slots=True)
class ToolRow:
    """One tool that starts a job. ``endpoint`` of ``pdf_to_image`` depends on its parameter
    ``type``.
    """

    name: str
    title: str
    description: str
    endpoint: str
    parameters: Sequence[Parameter]
    #: Whether it only reads a document, and creates no new one.
    read_only: bool = False

    def input_schema(self) -> Schema:
        """The tool's JSON schema."""
        return input_schema(self.parameters)


def input_schema(parameters: Sequence[Parameter]) -> Schema:
    """The JSON schema of an object with these parameters and no others."""
    return {
        "type": "object",
        "properties": {one.name: one.schema for one in parameters},
        "required": [one.name for one in parameters if one.required],
        "additionalProperties": False,
    }


def _text(name: str, description: str = "", default: str | None = "") -> Parameter:
    schema: Schema = {"type": "string"}
    if description:
        schema["description"] = description
    if default is None:
        return Parameter(name, schema, required=True)
    if default:
        schema["default"] = default
    return Parameter(name, schema)


def _flag(name: str, description: str = "", default: bool = False) -> Parameter:
    schema: Schema = {"type": "boolean"}
    if description:
        schema["description"] = description
    if default:
        schema["default"] = True
    return Parameter(name, schema)


def _list(name: str, description: str, *, required: bool = False) -> Parameter:
    schema: Schema = {"type": "array", "items": {"type": "object"}, "description": description}
    return Parameter(name, schema, required)


JOB_ID = _text("job_id", "The job id returned when the job was started.", None)
API_KEY = _text("api_key")
API_KEY_OF_CHECKS = _text("api_key", "PDF.co API key, only for a job that runs at PDF.co.")
_URL = _text("url", "File: http(s) URL, link from upload_file, or upload:ID.", None)
_URLS = _text("url", "Files in order, separated by commas.", None)
_LOGIN = (_text("httpusername"), _text("httppassword"))
_PAGES = _text("pages", "Page indexes from 0: 0,2-4,7- or !0 for the last. Default: all.")
_PASSWORD = _text("password")
_NAME = _text("name")
_PROFILES = _text("profiles")
_EXPIRATION = Parameter("expiration", {"type": "integer"})
_PROVIDER = Parameter("provider", {"type": "string", "enum": ["local", "pdfco"]})
_END = (_PROFILES, _EXPIRATION, API_KEY, _PROVIDER)
_LANG = _text("lang", "OCR languages, such as eng+deu.", "eng")
_TEXT = (
    _URL,
    *_LOGIN,
    _PAGES,
    _flag("unwrap", "Join the lines of each paragraph."),
    _text("rect", "Restrict to this area: x y width height, in points from the top left."),
    _LANG,
    _text("line_grouping", "Row grouping in tables: 1, 2 or 3."),
    _PASSWORD,
    _NAME,
)
_OFFICE = (_URL, _flag("autosize", "Fit pages to their content."), *_LOGIN, _text("pages"), _NAME)
_SHEET = (
    _URL,
    *_LOGIN,
    _NAME,
    _text("worksheetIndex", "Worksheet number from 1. Default: the first."),
)
_PAPER = (
    _text("margins", "As in CSS: 10mm, or top right bottom left."),
    _text("paperSize", "A4, Letter, or width and height: 200mm 300mm."),
    _text("orientation", "Portrait or Landscape."),
)
_WEB = (
    *_PAPER,
    _flag("printBackground", default=True),
    _text("mediaType", "print, screen or none."),
    _flag("DoNotWaitFullLoad"),
    _text("header", "HTML; classes pageNumber, totalPages, title, date, url are filled in."),
    _text("footer", "HTML, as header."),
    *_LOGIN,
    _NAME,
)
PERMISSIONS = (
    "accessibility_support",
    "assembly_document",
    "print_document",
    "fill_forms",
    "modify_document",
    "content_extraction",
    "modify_annotations",
)
"""What ``pdf_add_password`` can allow: each is a parameter with the prefix ``allow_``."""


def _row(
    name: str,
    title: str,
    endpoint: str,
    description: str,
    *parameters: Parameter,
    read_only: bool = False,
) -> ToolRow:
    return ToolRow(name, title, description, endpoint, parameters, read_only)


def _pdf_to(kind: str, endpoint: str, what: str) -> ToolRow:
    path, title = (
        f"pdf/convert/to/{endpoint}",
        f"PDF to {'text' if kind == 'text' else kind.upper()}",
    )
    return _row(f"pdf_to_{kind}", title, path, what, *_TEXT, *_END, read_only=True)


def _excel_to(kind: str, what: str) -> ToolRow:
    title, path = f"Excel to {kind.upper()}", f"xls/convert/to/{kind}"
    return _row(f"excel_to_{kind}", title, path, what, *_SHEET, *_END, read_only=kind != "pdf")


_WORKSHEET = "a worksheet of an xls, xlsx, xlsb or ods file"

TOOLS: Sequence[ToolRow] = (
    _pdf_to("json", "json2", "Extract the text of a PDF as JSON rows and columns with fonts and positions. "
            "Use pdf_to_text to just read it."),
    _pdf_to("csv", "csv", "Extract the tables of a PDF as CSV. Use pdf_to_text for running text."),
    _pdf_to("text", "text", "Extract the text of a PDF with its layout; scanned pages are recognized (OCR). "
            "Use this to read a PDF, pdf_to_csv for its tables."),
    _pdf_to("xls", "xls", "Extract the tables of a PDF as an old Excel file (.xls). Prefer pdf_to_xlsx."),
    _pdf_to("xlsx", "xlsx", "Extract the tables of a PDF as an Excel file (.xlsx). "
            "Use pdf_to_csv to read the values yourself."),
    _pdf_to("xml", "xml", "Extract the text of a PDF as XML with fonts and positions. "
            "Use pdf_to_json for the same as JSON."),
    _pdf_to("html", "html", "Convert a PDF to HTML that looks like its pages. Use pdf_to_text to read it."),
    _row("pdf_to_image", "PDF to image", "pdf/convert/to/jpg",
         "Render the pages of a PDF as images, one file a page. Use this to see pages, pdf_to_text to read "
         "them.",
         *_TEXT, _text("type", "jpg, png, webp or tiff.", "jpg"), *_END, read_only=True),
    _row("document_to_pdf", "Document to PDF", "pdf/convert/from/doc",
         "Convert a Word, RTF, ODT, presentation or text file to PDF. Use excel_to_pdf for workbooks, "
         "html_to_pdf for HTML.",
         *_OFFICE, *_END),
    _row("csv_to_pdf", "CSV to PDF", "pdf/convert/from/csv",
         "Convert a CSV file or a spreadsheet to a PDF table. Use excel_to_pdf for one worksheet of a "
         "workbook.", *_OFFICE, *_END),
    _row("image_to_pdf", "Image to PDF", "pdf/convert/from/image",
         "Combine images into one PDF. Use pdf_make_searchable afterwards to recognize their text.",
         _URLS, *_LOGIN, _PAGES, _NAME, *_END),
    _row("webpage_to_pdf", "Web page to PDF", "pdf/convert/from/url",
         "Print a web page to PDF in a real browser. Use html_to_pdf for HTML source, page.analyze to assess "
         "a page.",
         _text("url", "The page's http(s) URL.", None), *_WEB, *_END),
    _row("html_to_pdf", "HTML to PDF", "pdf/convert/from/html",
         "Print HTML source to PDF in a real browser. Use webpage_to_pdf for a page with a URL.",
         _text("html", default=None), *_WEB, *_END),
    _row("email_to_pdf", "E-mail to PDF", "pdf/convert/from/email",
         
         "Convert an e-mail (.eml, .msg) to PDF with its attachments. Remote images are not loaded.",
         _URL,
         _flag("embedAttachments", "Embed attachments as files.", default=True),
         _flag("convertAttachments", "Add attachments as pages where possible.", default=True),
         *_PAPER, *_END),
    _excel_to("csv", f"Extract {_WORKSHEET} as CSV. Use excel_to_json for named columns."),
    _excel_to("json", f"Extract {_WORKSHEET} as JSON rows. Use excel_to_csv for plain values."),
    _excel_to("html", f"Convert {_WORKSHEET} to an HTML table. Use excel_to_json to read the values."),
    _excel_to("txt", f"Extract {_WORKSHEET} as text in aligned columns. Use excel_to_csv for values."),
    _excel_to("xml", f"Extract {_WORKSHEET} as XML. Use excel_to_json for JSON."),
    _excel_to("pdf", f"Convert {_WORKSHEET} to PDF. Use document_to_pdf for text documents."),
    _row("pdf_merge", "Merge PDFs", "pdf/merge2",
         "Merge PDFs, office files, images and ZIP files of them into one PDF, in the given order; form "
         "fields and outlines are kept. Use pdf_split for the opposite.",
         _URLS, *_LOGIN, _NAME, *_END),
    _row("pdf_split", "Split a PDF", "pdf/split",
         "Split a PDF into several PDFs by page ranges. Use pdf_to_image for images of pages.",
         _URL,
         _text("pages", "Parts, pages from 1: 1-2,4- or * for every page.", None),
         *_LOGIN, _PASSWORD, _NAME, *_END),
    _row("read_pdf_forms_info", "Read form fields", "pdf/info/fields",
         "List the form fields of a PDF with names, types and values. Use it before fill_forms.",
         _URL, *_LOGIN, _PASSWORD, *_END, read_only=True),
    _row("fill_forms", "Fill a form", "pdf/edit/add",
         "Fill in the form fields of a PDF and return a new PDF. Get field names from read_pdf_forms_info; "
         "use create_fillable_forms to add fields.", _URL,
         _list("fields", "Objects with fieldName, pages and text.", required=True),
         _NAME, *_LOGIN, *_END),
    _row("create_fillable_forms", "Create form fields", "pdf/edit/add",
         
         "Add form fields to a PDF and return a new PDF. Use fill_forms to fill in fields that exist.",
         _URL,
         _list("annotations", "Objects with type (TextField, TextFieldMultiline, Checkbox, "
               "CheckboxChecked), x, y, size, pages and id.", required=True),
         _NAME, *_LOGIN, *_END),
    _row("find_text", "Find text", "pdf/find",
         "Find text in a PDF and return its pages and positions. Use pdf_to_text for all text.",
         _URL,
         _text("searchString", default=None), *_LOGIN, _PAGES,
         _text("wordMatchingMode", "SmartMatch, ExactMatch (whole words) or None."),
         _PASSWORD, _flag("regexSearch", "searchString is a regular expression."), *_END, read_only=True),
    _row("find_table", "Find tables", "pdf/find/table",
         "Locate the tables of a PDF and return positions and cells. Use pdf_to_csv or pdf_to_xlsx to get "
         "them as a file.", _URL, *_LOGIN, _PAGES, _PASSWORD, *_END, read_only=True),
    _row("pdf_make_searchable", "Make searchable", "pdf/makesearchable",
         "Add recognized text (OCR) to the scanned pages of a PDF and return a new PDF. Use pdf_to_text if "
         "only the text is needed.", _URL, *_LOGIN, _LANG, _PAGES, _PASSWORD, _NAME, *_END),
    _row("pdf_make_unsearchable", "Make unsearchable", "pdf/makeunsearchable",
         "Rasterize the pages of a PDF, so that their text can no longer be selected or "
         "searched, and return a new PDF. Use pdf_add_password to protect a PDF instead.",
         _URL, *_LOGIN, _PAGES, _PASSWORD, _NAME, *_END),
    _row("pdf_add_password", "Add a password", "pdf/security/add",
         "Encrypt a PDF with passwords and return a new PDF; every permission without its "
         "allow_ flag is denied. Use pdf_remove_password to decrypt.", _URL,
         _text("owner_password", "Password that grants all permissions.", None),
         _text("user_password", "Password that opens the document."),
         _text("encryption_algorithm", "AES_256bit, AES_128bit, RC4_128bit or RC4_40bit.", "AES_256bit"),
         *(_flag(f"allow_{what}") for what in PERMISSIONS),
         _text("print_quality", "HighResolution or LowResolution."),
         *_LOGIN, _PASSWORD, _NAME, *_END),
    _row("pdf_remove_password", "Remove the password", "pdf/security/remove",
         "Decrypt a PDF whose password is known and return an unprotected copy. Use pdf_add_password to "
         "encrypt.", _URL, *_LOGIN, _PASSWORD, _NAME, *_END),
    _row("pdf_info_reader", "PDF information", "pdf/info",
         "Return page count, page size, author, encryption and other metadata of a PDF. Use "
         "read_pdf_forms_info for its form fields.", _URL, *_LOGIN, _PASSWORD, *_END, read_only=True),
    _row("ai_invoice_parser", "Parse an invoice", "ai-invoice-parser",
         "Extract number, dates, parties, totals and lines of an invoice by rules, without an AI model. "
         
         "Fields not found are null, and each has a confidence; check doubtful ones with pdf_to_text.",
         _URL, API_KEY, _PROVIDER, read_only=True),
    _row("extract_attachments", "Extract attachments", "pdf/attachments/extract",
         "Extract the files attached to a PDF. Use email_to_pdf for attachments of e-mails.",
         _URL, *_LOGIN, _PASSWORD, *_END, read_only=True),
    _row("pdf_add_annotations_images_fields", "Edit a PDF", "pdf/edit/add",
         "Add text, links, images and form fields to a PDF, or fill in its form, and return a new PDF. Use "
         "fill_forms or create_fillable_forms if that is all.", _URL, *_LOGIN,
         _PASSWORD, _NAME,
         _list("annotations", "Objects with text, x, y, size, pages, color, link, fontName, fontBold ..."),
         _list("images", "Objects with url, x, y, width, height, pages."),
         _list("fields", "Objects with fieldName, pages, text."),
         _EXPIRATION,
         _flag("encrypt"),
         _flag("flatten", "Make fields and comments part of the page."),
         _PROFILES, API_KEY, _PROVIDER),
)  # fmt: skip
"""Every tool that starts a job, in PDF.co's own order."""
