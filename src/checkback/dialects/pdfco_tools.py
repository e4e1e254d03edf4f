"""The 38 tools of PDF.co's MCP server: names, parameters and defaults, as data.

36 of them start a job at one endpoint each or upload a file; ``get_job_check`` and ``wait_job_completion``
ask for one. Texts are ours; names and defaults are theirs (spec section 2).
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
    """One tool that starts a job. ``endpoint`` of ``pdf_to_image`` depends on its parameter ``type``."""

    name: str
    title: str
    description: str
    endpoint: str
    parameters: Sequence[Parameter]

    def input_schema(self) -> Schema:
        """The tool's JSON schema."""
        return input_schema(self.parameters)


def input_schema(parameters: Sequence[Parameter]) -> Schema:
    """The JSON schema of an object with these parameters; no others are taken."""
    return {
        "type": "object",
        "properties": {one.name: one.schema for one in parameters},
        "required": [one.name for one in parameters if one.required],
        "additionalProperties": False,
    }


def _text(name: str, description: str, default: str | None = "") -> Parameter:
    schema: Schema = {"type": "string", "description": description}
    if default is None:
        return Parameter(name, schema, required=True)
    return Parameter(name, {**schema, "default": default})


def _flag(name: str, description: str, default: bool = False) -> Parameter:
    return Parameter(name, {"type": "boolean", "default": default, "description": description})


def _list(name: str, description: str, *, required: bool = False) -> Parameter:
    schema: Schema = {"type": "array", "items": {"type": "object"}, "description": description}
    return Parameter(name, schema if required else {**schema, "default": []}, required)


JOB_ID = _text("job_id", "The id that starting the job gave.", None)
API_KEY = _text(
    "api_key",
    "Leave it out for jobs that run here. A PDF.co key makes the call ask PDF.co, where checks cost credits.",
)
_URL = _text("url", "The file: an http(s) address, a link that upload_file gave, or upload:ID.", None)
_URLS = _text("url", "The files, in order, their addresses parted by commas.", None)
_LOGIN = (
    _text("httpusername", "User name for the source's server."),
    _text("httppassword", "Password for the source's server."),
)
_PAGES = _text("pages", "Pages, the first is 0: 0,2-4,7- or !0 for the last; all if left out.")
_PASSWORD = _text("password", "Password that opens the document.")
_NAME = _text("name", "Name of the result.")
_PROFILES = _text("profiles", "Further options, as the text of a JSON object.")
_EXPIRATION = Parameter(
    "expiration",
    {
        "anyOf": [{"type": "integer"}, {"type": "null"}],
        "default": None,
        "description": "For how many minutes the link to the result works; 60 if left out.",
    },
)
_PROVIDER = Parameter(
    "provider",
    {
        "type": "string",
        "enum": ["local", "pdfco"],
        "default": "local",
        "description": "Where to run: here, or at PDF.co, which needs a key of theirs and costs credits.",
    },
)
_END = (_PROFILES, _EXPIRATION, API_KEY, _PROVIDER)
_TEXT = (
    _URL,
    *_LOGIN,
    _PAGES,
    _flag("unwrap", "Join the lines of a paragraph."),
    _text("rect", "Only this part of each page: x y width height in points from the top left."),
    _text("lang", "Languages of scanned pages, as in eng+deu.", "eng"),
    _text("line_grouping", "How the lines of a table's row are grouped: 1, 2 or 3; 0 is off.", "0"),
    _PASSWORD,
    _NAME,
)
_OFFICE = (
    _URL,
    _flag("autosize", "Make pages as large as their content."),
    *_LOGIN,
    _text("pages", "Pages of the result; all if left out."),
    _NAME,
)
_SHEET = (
    _URL,
    *_LOGIN,
    _NAME,
    _text("worksheetIndex", "Which worksheet, the first is 1; the first if left out."),
)
_PAPER = (
    _text("margins", "Margins as in CSS: 10mm, or top right bottom left."),
    _text("paperSize", "A4, Letter and so on, or a width and height: 200mm 300mm."),
    _text("orientation", "Portrait or Landscape."),
)
_WEB = (
    *_PAPER,
    _flag("printBackground", "Print backgrounds.", default=True),
    _text("mediaType", "CSS medium: print, screen or none."),
    _flag("DoNotWaitFullLoad", "Do not wait until everything has loaded."),
    _text(
        "header", "HTML above each page; classes pageNumber, totalPages, title, date and url are filled in."
    ),
    _text("footer", "HTML below each page, as header."),
    *_LOGIN,
    _NAME,
)
_PERMISSIONS = tuple(
    _flag(f"allow_{what}", f"Allow to {words}.")
    for what, words in (
        ("accessibility_support", "read the text out to people who cannot see"),
        ("assembly_document", "insert, remove and turn pages"),
        ("print_document", "print"),
        ("fill_forms", "fill in forms"),
        ("modify_document", "change the document"),
        ("content_extraction", "copy text and images"),
        ("modify_annotations", "change comments"),
    )
)


def _row(name: str, title: str, endpoint: str, description: str, *parameters: Parameter) -> ToolRow:
    return ToolRow(name, title, description, endpoint, parameters)


def _pdf_to(kind: str, endpoint: str, what: str) -> ToolRow:
    return _row(f"pdf_to_{kind}", f"PDF to {kind.upper()}", f"pdf/convert/to/{endpoint}", what, *_TEXT, *_END)


def _excel_to(kind: str) -> ToolRow:
    return _row(
        f"excel_to_{kind}",
        f"Excel to {kind.upper()}",
        f"xls/convert/to/{kind}",
        f"Turn a worksheet of an xls, xlsx, xlsb or ods file into {kind.upper()}.",
        *_SHEET,
        *_END,
    )


TOOLS: Sequence[ToolRow] = (
    _pdf_to("json", "json2", "Read a PDF as JSON: its text in rows and columns, with fonts and positions."),
    _pdf_to("csv", "csv", "Read the tables of a PDF as CSV."),
    _pdf_to("text", "text", "Read the text of a PDF, its layout kept; scanned pages are recognised."),
    _pdf_to("xls", "xls", "Read the tables of a PDF as an old Excel file."),
    _pdf_to("xlsx", "xlsx", "Read the tables of a PDF as an Excel file."),
    _pdf_to("xml", "xml", "Read a PDF as XML: its text with fonts and positions."),
    _pdf_to("html", "html", "Read a PDF as HTML that looks like its pages."),
    _row("pdf_to_image", "PDF to image", "pdf/convert/to/jpg", "Draw the pages of a PDF as pictures.",
         *_TEXT, _text("type", "jpg, png, webp or tiff.", "jpg"), *_END),
    _row("document_to_pdf", "Document to PDF", "pdf/convert/from/doc",
         "Make a PDF of a Word, RTF, ODT or text file.", *_OFFICE, *_END),
    _row("csv_to_pdf", "CSV to PDF", "pdf/convert/from/csv",
         "Make a PDF of a CSV file or a spreadsheet.", *_OFFICE, *_END),
    _row("image_to_pdf", "Image to PDF", "pdf/convert/from/image",
         "Make one PDF of one or more pictures.", _URLS, *_LOGIN, _PAGES, _NAME, *_END),
    _row("webpage_to_pdf", "Web page to PDF", "pdf/convert/from/url",
         "Print a web page to PDF in a real browser.",
         _text("url", "The page's http(s) address.", None), *_WEB, *_END),
    _row("html_to_pdf", "HTML to PDF", "pdf/convert/from/html", "Print HTML to PDF in a real browser.",
         _text("html", "The HTML.", None), *_WEB, *_END),
    _row("email_to_pdf", "E-mail to PDF", "pdf/convert/from/email",
         "Make a PDF of an e-mail, eml or msg, with its attachments.", _URL,
         _flag("embedAttachments", "Put attachments into the PDF as files.", default=True),
         _flag("convertAttachments", "Add attachments as pages where that can be done.", default=True),
         *_PAPER, *_END),
    *(_excel_to(kind) for kind in ("csv", "json", "html", "txt", "xml", "pdf")),
    _row("pdf_merge", "Merge PDFs", "pdf/merge2",
         "Join PDFs, office files, pictures and zip files of them into one PDF; form fields are kept.",
         _URLS, *_LOGIN, _NAME, *_END),
    _row("pdf_split", "Split a PDF", "pdf/split", "Split a PDF into several.", _URL,
         _text("pages", "Parts, the first page is 1: 1-2,4- or * for every page.", None),
         *_LOGIN, _PASSWORD, _NAME, *_END),
    _row("read_pdf_forms_info", "Read form fields", "pdf/info/fields",
         "Tell the fields of a PDF's form, with names, types and values.", _URL, *_LOGIN, _PASSWORD, *_END),
    _row("fill_forms", "Fill a form", "pdf/edit/add", "Fill in the form fields of a PDF.", _URL,
         _list("fields", "What to fill in: objects with fieldName, pages and text.", required=True),
         _NAME, *_LOGIN, *_END),
    _row("create_fillable_forms", "Create form fields", "pdf/edit/add", "Add form fields to a PDF.", _URL,
         _list("annotations", "The fields: objects with type (TextField, TextFieldMultiline, Checkbox, "
               "CheckboxChecked), x, y, size, pages and id.", required=True),
         _NAME, *_LOGIN, *_END),
    _row("find_text", "Find text", "pdf/find", "Find text in a PDF and tell where it stands.", _URL,
         _text("searchString", "What to look for.", None), *_LOGIN, _PAGES,
         Parameter("wordMatchingMode", {
             "anyOf": [{"type": "string"}, {"type": "null"}], "default": None,
             "description": "SmartMatch, ExactMatch for whole words, or None."}),
         _PASSWORD, _flag("regexSearch", "Take searchString for a regular expression."), *_END),
    _row("find_table", "Find tables", "pdf/find/table", "Find the tables of a PDF and tell where they stand.",
         _URL, *_LOGIN, _PAGES, _PASSWORD, *_END),
    _row("pdf_make_searchable", "Make searchable", "pdf/makesearchable",
         "Recognise the text of scanned pages and put it under them.", _URL, *_LOGIN,
         _text("lang", "Languages of the scans, as in eng+deu.", "eng"), _PAGES, _PASSWORD, _NAME, *_END),
    _row("pdf_make_unsearchable", "Make unsearchable", "pdf/makeunsearchable",
         "Turn pages into pictures of themselves.", _URL, *_LOGIN, _PAGES, _PASSWORD, _NAME, *_END),
    _row("pdf_add_password", "Add a password", "pdf/security/add",
         "Protect a PDF with passwords and permissions.", _URL,
         _text("owner_password", "Password that allows everything.", None),
         _text("user_password", "Password that opens the document."),
         _text("encryption_algorithm", "AES_256bit, AES_128bit, RC4_128bit or RC4_40bit.", "AES_256bit"),
         *_PERMISSIONS, _text("print_quality", "HighResolution or LowResolution."),
         *_LOGIN, _PASSWORD, _NAME, *_END),
    _row("pdf_remove_password", "Remove the password", "pdf/security/remove",
         "Take the protection off a PDF whose password you have.", _URL, *_LOGIN, _PASSWORD, _NAME, *_END),
    _row("pdf_info_reader", "PDF information", "pdf/info",
         "Tell a PDF's page count, size, author, protection and more.", _URL, *_LOGIN, _PASSWORD, *_END),
    _row("ai_invoice_parser", "Parse an invoice", "ai-invoice-parser",
         "Read the fields of an invoice by rules, without a model; what was not found is null, and each "
         "field has a confidence.", _URL, API_KEY, _PROVIDER),
    _row("extract_attachments", "Extract attachments", "pdf/attachments/extract",
         "Take the files out that a PDF carries.", _URL, *_LOGIN, _PASSWORD, *_END),
    _row("pdf_add_annotations_images_fields", "Edit a PDF", "pdf/edit/add",
         "Add text, links, pictures and form fields to a PDF, or fill in its form.", _URL, *_LOGIN,
         _PASSWORD, _NAME,
         _list("annotations", "Objects with text, x, y, size, pages, color, link, fontName, fontBold ..."),
         _list("images", "Objects with url, x, y, width, height and pages."),
         _list("fields", "Objects with fieldName, pages and text."),
         Parameter("expiration", {"type": "integer", "default": 60,
                                  "description": "For how many minutes the link to the result works."}),
         _flag("encrypt", "Taken for compatibility; protect a PDF with pdf_add_password."),
         _flag("flatten", "Make fields and comments part of the page."),
         _PROFILES, API_KEY, _PROVIDER),
)  # fmt: skip
"""Every tool that starts a job, in PDF.co's own order."""
