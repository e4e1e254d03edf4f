"""Documents that name files of the machine in every way that is known, and the files that they name: red
pictures and a text. Whoever shows red, or the word, has opened one."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdfium2
from PIL import Image

from archive_bombs import zip_of
from made_files import pdf_of, text_at

WORD = "canary-7713-of-the-machine"
_ODF = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
    for short, long in (
        ("office", "office"), ("text", "text"), ("draw", "drawing"), ("style", "style"), ("table", "table"),
        ("svg", "svg-compatible"), ("xsl", "xsl-fo-compatible"), ("presentation", "presentation"),
        ("manifest", "manifest"),
    )
) + ' xmlns:xlink="http://www.w3.org/1999/xlink" office:version="1.3"'  # fmt: skip
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"


@dataclass(frozen=True)
class Baits:
    """The files that nobody may see."""

    folder: Path

    @property
    def addresses(self) -> list[str]:
        """Every picture by its address."""
        return [(self.folder / name).as_uri() for name in ("red.png", "red.svg", "red.pdf")]

    @property
    def text(self) -> str:
        return (self.folder / "word.txt").as_uri()

    @classmethod
    def put(cls, folder: Path) -> Baits:
        """Write the files, for their owner alone."""
        folder.mkdir(mode=0o700)
        picture = Image.new("RGB", (300, 300), "red")
        picture.save(folder / "red.png")
        picture.save(folder / "red.pdf")
        svg = '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="300">'
        (folder / "red.svg").write_text(
            f'{svg}<rect width="300" height="300" fill="#f00"/><text y="50">{WORD}</text></svg>'
        )
        (folder / "word.txt").write_text(f"{WORD}\n")
        (folder / "word.csv").write_text(f"{WORD},{WORD}\n")
        (folder / "word.pdf").write_bytes(pdf_of(text_at((72, 72, WORD))))
        for path in folder.iterdir():
            path.chmod(0o600)
        return cls(folder)


def is_shown(path: Path) -> bool:
    """Whether a PDF shows one of the baits."""
    with pypdfium2.PdfDocument(path) as pdf:
        for page in pdf:
            if WORD in page.get_textpage().get_text_range().replace("\r\n", ""):
                return True
            picture = page.render(scale=0.5).to_pil().convert("RGB")
            counted: list[Any] = picture.getcolors(picture.width * picture.height) or []
            if any(
                color[0] > 200 and max(color[1:]) < 60 and count > 9 for count, color in counted
            ):
                return True
    return False


def documents(baits: Baits) -> dict[str, bytes]:
    """All of them, by the names of their files."""
    made = {
        "pictures.odt": _odt(baits),
        "styles.odt": _odt_styles(baits),
        "svg.odt": _odt_with_svg(baits),
        "sources.odt": _odt_sources(baits),
        "pictures.ods": _ods(baits),
        "pictures.odp": _odp(baits),
        "linked.docx": _docx(baits),
        "fields.docx": _docx_fields(baits),
        "vml.docx": _docx_vml(baits),
        "svg.docx": _docx_with_svg(baits),
        "chunk.docx": _docx_chunk(baits),
        "linked.xlsx": _xlsx(baits),
        "linked.pptx": _pptx(baits),
        "fields.rtf": _rtf(baits),
    }
    return made | {"inside.odt": _odt_with_object(made["pictures.odt"])}


# --- OpenDocument ---


def _package(kind: str, entries: dict[str, str | bytes]) -> bytes:
    media = f"application/vnd.oasis.opendocument.{kind}"
    listed = "".join(
        f'<manifest:file-entry manifest:full-path="{name}" manifest:media-type=""/>'
        for name in entries
    )
    manifest = (
        f'<?xml version="1.0"?><manifest:manifest {_ODF.replace("office:version", "manifest:version")}>'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{media}"/>{listed}</manifest:manifest>'
    )
    whole: dict[str, bytes] = {"mimetype": media.encode()}
    for name, content in (*entries.items(), ("META-INF/manifest.xml", manifest)):
        whole[name] = content if isinstance(content, bytes) else content.encode()
    return zip_of(whole)


def _content(body: str, styles: str = "") -> str:
    return (
        f'<?xml version="1.0"?><office:document-content {_ODF}><office:automatic-styles>{styles}'
        f"</office:automatic-styles><office:body>{body}</office:body></office:document-content>"
    )


def _frame(address: str, element: str = "image") -> str:
    return (
        '<draw:frame text:anchor-type="as-char" svg:width="4cm" svg:height="4cm">'
        f'<draw:{element} xlink:href="{address}" xlink:type="simple" xlink:show="embed" xlink:actuate="onLoad"/>'
        "</draw:frame>"
    )


def text_document(body: str) -> bytes:
    """A text document of this body."""
    return _package("text", {"content.xml": _content(f"<office:text>{body}</office:text>")})


def _odt(baits: Baits) -> bytes:
    spelled = [*baits.addresses, *(address.removeprefix("file://") for address in baits.addresses)]
    climbing = "../" * 12 + baits.addresses[0].removeprefix("file:///")
    frames = "".join(_frame(address) for address in [*spelled, climbing])
    frames += "".join(
        _frame(address, "object") + _frame(address, "plugin") for address in baits.addresses
    )
    frames += f'<draw:frame svg:width="4cm" svg:height="4cm"><draw:floating-frame xlink:href="{baits.text}"/></draw:frame>'
    return _package(
        "text",
        {"content.xml": _content(f"<office:text><text:p>words {frames}</text:p></office:text>")},
    )


def _odt_styles(baits: Baits) -> bytes:
    paragraphs = styles = ""
    for number, address in enumerate(baits.addresses):
        image = f'<style:background-image xlink:href="{address}" xlink:type="simple" style:repeat="stretch"/>'
        styles += (
            f'<style:style style:name="P{number}" style:family="paragraph"><style:paragraph-properties>{image}'
            "</style:paragraph-properties></style:style>"
            f'<text:list-style style:name="L{number}"><text:list-level-style-image text:level="1" xlink:href="{address}">'
            '<style:list-level-properties xsl:width="2cm" xsl:height="2cm"/></text:list-level-style-image></text:list-style>'
        )
        paragraphs += (
            f'<text:p text:style-name="P{number}">words<text:line-break/>more</text:p>'
            f'<text:list text:style-name="L{number}"><text:list-item><text:p>point</text:p></text:list-item></text:list>'
        )
    layout = (
        f'<?xml version="1.0"?><office:document-styles {_ODF}><office:styles><draw:fill-image draw:name="F" '
        f'xlink:href="{baits.addresses[0]}" xlink:type="simple"/></office:styles><office:automatic-styles>'
        '<style:page-layout style:name="A"><style:page-layout-properties draw:fill="bitmap" draw:fill-image-name="F" '
        f'xsl:page-width="21cm" xsl:page-height="29cm"><style:background-image xlink:href="{baits.addresses[0]}"/>'
        "</style:page-layout-properties></style:page-layout></office:automatic-styles><office:master-styles>"
        '<style:master-page style:name="Standard" style:page-layout-name="A"/></office:master-styles></office:document-styles>'
    )
    content = _content(f"<office:text>{paragraphs}</office:text>", styles)
    return _package("text", {"content.xml": content, "styles.xml": layout})


def svg(baits: Baits) -> bytes:
    """A drawing that shows the baits, by every element that can."""
    shown = "".join(
        f'<image xlink:href="{a}" href="{a}" width="90" height="90"/>' for a in baits.addresses
    )
    inner = base64.b64encode(
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{shown}</svg>'.encode()
    ).decode()
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="200" height="200">'
        f'{shown}<use xlink:href="{baits.addresses[1]}#x"/><rect width="90" height="90" style="fill:url({baits.addresses[1]}#x)"/>'
        f'<image xlink:href="data:image/svg+xml;base64,{inner}" width="90" height="90"/><rect width="9" height="9"/></svg>'
    ).encode()


def _odt_with_svg(baits: Baits) -> bytes:
    content = _content(
        f"<office:text><text:p>words {_frame('Pictures/a.svg')}</text:p></office:text>"
    )
    return _package("text", {"content.xml": content, "Pictures/a.svg": svg(baits)})


def _odt_sources(baits: Baits) -> bytes:
    sections = "".join(
        f'<text:section text:name="S{number}"><text:section-source xlink:href="{address}"/><text:p>old</text:p></text:section>'
        for number, address in enumerate(
            [baits.text, *baits.addresses, f"{baits.folder.as_uri()}/word.pdf"]
        )
    )
    return _package(
        "text",
        {"content.xml": _content(f"<office:text><text:p>words</text:p>{sections}</office:text>")},
    )


def _odt_with_object(inner: bytes) -> bytes:
    """A document with another one inside."""
    import zipfile

    content = _content(
        f"<office:text><text:p>words {_frame('./Object 1', 'object')}</text:p></office:text>"
    )
    with zipfile.ZipFile(io.BytesIO(inner)) as archive:
        parts = {f"Object 1/{name}": archive.read(name) for name in ("content.xml", "mimetype")}
    return _package("text", {"content.xml": content, **parts})


def _ods(baits: Baits) -> bytes:
    frames = "".join(_frame(address) for address in baits.addresses)
    table = f"{baits.folder.as_uri()}/word.csv"
    styles = "".join(
        f'<style:style style:name="C{number}" style:family="table-cell"><style:table-cell-properties>'
        f'<style:background-image xlink:href="{address}"/></style:table-cell-properties></style:style>'
        for number, address in enumerate(baits.addresses)
    )
    cells = "".join(
        f'<table:table-cell table:style-name="C{number}"><text:p>words</text:p></table:table-cell>'
        for number in range(3)
    )
    body = (
        f'<office:spreadsheet><table:table table:name="A"><table:shapes>{frames}</table:shapes><table:table-row>{cells}'
        f'<table:table-cell table:formula="of:=[\'{table}\'#$word.A1]" office:value-type="string"/>'
        f'<table:table-cell table:formula="of:=WEBSERVICE(&quot;{baits.text}&quot;)" office:value-type="string"/>'
        f'</table:table-row></table:table><table:table table:name="B"><table:table-source xlink:href="{table}" '
        'table:filter-name="Text - txt - csv (StarCalc)"/><table:table-row><table:table-cell><text:p>old</text:p>'
        "</table:table-cell></table:table-row></table:table></office:spreadsheet>"
    )
    return _package("spreadsheet", {"content.xml": _content(body, styles)})


def _odp(baits: Baits) -> bytes:
    frames = "".join(_frame(address) for address in baits.addresses) + _frame("Pictures/a.svg")
    styles = (
        '<style:style style:name="D" style:family="drawing-page"><style:drawing-page-properties '
        'presentation:background-visible="true" draw:fill="bitmap" draw:fill-image-name="F"/></style:style>'
    )
    layout = (
        f'<?xml version="1.0"?><office:document-styles {_ODF}><office:styles><draw:fill-image draw:name="F" '
        f'xlink:href="{baits.addresses[0]}"/></office:styles></office:document-styles>'
    )
    body = f'<office:presentation><draw:page draw:name="a" draw:style-name="D">{frames}</draw:page></office:presentation>'
    entries = {
        "content.xml": _content(body, styles),
        "styles.xml": layout,
        "Pictures/a.svg": svg(baits),
    }
    return _package("presentation", entries)


# --- Office Open XML ---


def _relations(*lines: tuple[str, str, str, bool]) -> str:
    made = "".join(
        f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{target}"{" TargetMode=&quot;External&quot;".replace("&quot;", chr(34)) if outside else ""}/>'
        for name, kind, target, outside in lines
    )
    return f'<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{made}</Relationships>'


def _types(main: str, part: str, more: str = "") -> str:
    return (
        '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/><Default Extension="svg" ContentType="image/svg+xml"/>'
        '<Default Extension="png" ContentType="image/png"/><Default Extension="htm" ContentType="text/html"/>'
        f'<Override PartName="/{part}" ContentType="application/vnd.openxmlformats-officedocument.{main}.main+xml"/>{more}</Types>'
    )


def _blip(relation: str, how: str = "link", inner: str = "") -> str:
    return (
        '<w:r><w:drawing><wp:inline xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing">'
        f'<wp:extent cx="1800000" cy="1800000"/><wp:docPr id="1" name="p"/><a:graphic xmlns:a="{_DRAWING}/main">'
        f'<a:graphicData uri="{_DRAWING}/picture"><pic:pic xmlns:pic="{_DRAWING}/picture"><pic:nvPicPr><pic:cNvPr id="1" '
        f'name="p"/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:{how}="{relation}">{inner}</a:blip><a:stretch>'
        '<a:fillRect/></a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="1800000" cy="1800000"/>'
        '</a:xfrm><a:prstGeom prst="rect"/></pic:spPr></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r>'
    )


def _word(body: str, relations: str, more: dict[str, bytes] | None = None) -> bytes:
    document = (
        '<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
        f'xmlns:r="{_OFFICE}" xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office">'
        f"<w:body><w:p><w:r><w:t>words</w:t></w:r></w:p>{body}</w:body></w:document>"
    )
    entries = {
        "[Content_Types].xml": _types("wordprocessingml.document", "word/document.xml"),
        "_rels/.rels": _relations(("r", "officeDocument", "word/document.xml", False)),
        "word/document.xml": document,
        "word/_rels/document.xml.rels": relations,
    }
    return zip_of({name: text.encode() for name, text in entries.items()} | (more or {}))


def _docx(baits: Baits) -> bytes:
    lines = [
        (f"i{number}", "image", address, True) for number, address in enumerate(baits.addresses)
    ]
    body = "".join(f"<w:p>{_blip(name)}{_blip(name, 'embed')}</w:p>" for name, *_ in lines)
    lines += [("t", "attachedTemplate", baits.text, True), ("s", "subDocument", baits.text, True)]
    return _word(f'{body}<w:p><w:subDoc r:id="s"/></w:p>', _relations(*lines))


def _docx_fields(baits: Baits) -> bytes:
    def field(*words: str) -> str:
        parts = "".join(
            f'<w:r><w:instrText xml:space="preserve">{word}</w:instrText></w:r>' for word in words
        )
        return (
            f'<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r>{parts}<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
            '<w:r><w:t>old</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'
        )

    body = ""
    for address in (
        *baits.addresses,
        *(address.removeprefix("file://") for address in baits.addresses),
    ):
        body += field(f' INCLUDEPICTURE "{address}" \\d ') + field(
            " INCLUDE", "PICTURE ", f'"{address}" \\d '
        )
        body += f'<w:p><w:fldSimple w:instr=" INCLUDEPICTURE &quot;{address}&quot; \\d "><w:r><w:t>old</w:t></w:r></w:fldSimple></w:p>'
    body += field(f' INCLUDETEXT "{baits.text}" ') + field(
        f' LINK Word.Document "{baits.text}" \\a '
    )
    return _word(body, _relations())


def _docx_vml(baits: Baits) -> bytes:
    shapes = "".join(
        f'<w:p><w:r><w:pict><v:rect style="width:150pt;height:150pt" fillcolor="white"><v:fill type="frame" src="{address}" '
        f'o:href="{address}"/></v:rect></w:pict></w:r></w:p><w:p><w:r><w:pict><v:shape style="width:150pt;height:150pt">'
        f'<v:imagedata src="{address}" o:href="{address}" r:href="i{number}"/></v:shape></w:pict></w:r></w:p>'
        for number, address in enumerate(baits.addresses)
    )
    lines = [
        (f"i{number}", "image", address, True) for number, address in enumerate(baits.addresses)
    ]
    return _word(shapes, _relations(*lines))


def _docx_with_svg(baits: Baits) -> bytes:
    extension = (
        '<a:extLst><a:ext uri="{96DAC541-7B7A-43D3-8B79-37D633B846F1}"><asvg:svgBlip '
        'xmlns:asvg="http://schemas.microsoft.com/office/drawing/2016/SVG/main" r:embed="s"/></a:ext></a:extLst>'
    )
    body = f"<w:p>{_blip('s', 'embed')}{_blip('s', 'embed', extension)}</w:p>"
    return _word(
        body, _relations(("s", "image", "media/a.svg", False)), {"word/media/a.svg": svg(baits)}
    )


def _docx_chunk(baits: Baits) -> bytes:
    html = (
        "<html><body>words"
        + "".join(f'<img src="{a}" width=200>' for a in baits.addresses)
        + "</body></html>"
    )
    relations = _relations(("c", "aFChunk", "a.htm", False))
    return _word('<w:altChunk r:id="c"/>', relations, {"word/a.htm": html.encode()})


def _xlsx(baits: Baits) -> bytes:
    names = [f"i{number}" for number in range(len(baits.addresses))]
    anchors = "".join(
        f"<xdr:twoCellAnchor><xdr:from><xdr:col>1</xdr:col><xdr:colOff>0</xdr:colOff><xdr:row>{5 * number}</xdr:row><xdr:rowOff>0"
        f"</xdr:rowOff></xdr:from><xdr:to><xdr:col>4</xdr:col><xdr:colOff>0</xdr:colOff><xdr:row>{5 * number + 5}</xdr:row><xdr:rowOff>0"
        f'</xdr:rowOff></xdr:to><xdr:pic><xdr:nvPicPr><xdr:cNvPr id="{number + 2}" name="p"/><xdr:cNvPicPr/></xdr:nvPicPr><xdr:blipFill>'
        f'<a:blip r:link="{name}"/><a:stretch><a:fillRect/></a:stretch></xdr:blipFill><xdr:spPr><a:prstGeom prst="rect"/></xdr:spPr>'
        "</xdr:pic><xdr:clientData/></xdr:twoCellAnchor>"
        for number, name in enumerate(names)
    )
    drawing = (
        f'<?xml version="1.0"?><xdr:wsDr xmlns:xdr="{_DRAWING}/spreadsheetDrawing" xmlns:a="{_DRAWING}/main" '
        f'xmlns:r="{_OFFICE}">{anchors}</xdr:wsDr>'
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = (
        f'<?xml version="1.0"?><worksheet xmlns="{main}" xmlns:r="{_OFFICE}"><sheetData><row r="1"><c r="A1" t="inlineStr"><is>'
        f'<t>words</t></is></c><c r="B1" t="str"><f>WEBSERVICE("{baits.text}")</f></c><c r="C1" t="str"><f>[1]word!A1</f></c></row>'
        '</sheetData><drawing r:id="d"/></worksheet>'
    )
    book = (
        f'<?xml version="1.0"?><workbook xmlns="{main}" xmlns:r="{_OFFICE}"><sheets><sheet name="A" sheetId="1" r:id="s"/></sheets>'
        '<externalReferences><externalReference r:id="e"/></externalReferences></workbook>'
    )
    external = f'<?xml version="1.0"?><externalLink xmlns="{main}"><externalBook xmlns:r="{_OFFICE}" r:id="x"><sheetNames><sheetName val="word"/></sheetNames></externalBook></externalLink>'
    prefix = "application/vnd.openxmlformats-officedocument"
    more = (
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{prefix}.spreadsheetml.worksheet+xml"/>'
        f'<Override PartName="/xl/drawings/drawing1.xml" ContentType="{prefix}.drawing+xml"/>'
        f'<Override PartName="/xl/externalLinks/externalLink1.xml" ContentType="{prefix}.spreadsheetml.externalLink+xml"/>'
    )
    entries = {
        "[Content_Types].xml": _types("spreadsheetml.sheet", "xl/workbook.xml", more),
        "_rels/.rels": _relations(("r", "officeDocument", "xl/workbook.xml", False)),
        "xl/workbook.xml": book,
        "xl/_rels/workbook.xml.rels": _relations(("s", "worksheet", "worksheets/sheet1.xml", False), ("e", "externalLink", "externalLinks/externalLink1.xml", False)),
        "xl/worksheets/sheet1.xml": sheet,
        "xl/worksheets/_rels/sheet1.xml.rels": _relations(("d", "drawing", "../drawings/drawing1.xml", False)),
        "xl/drawings/drawing1.xml": drawing,
        "xl/drawings/_rels/drawing1.xml.rels": _relations(*((n, "image", a, True) for n, a in zip(names, baits.addresses, strict=True))),
        "xl/externalLinks/externalLink1.xml": external,
        "xl/externalLinks/_rels/externalLink1.xml.rels": _relations(("x", "externalLinkPath", f"{baits.folder.as_uri()}/word.csv", True)),
    }  # fmt: skip
    return zip_of({name: text.encode() for name, text in entries.items()})


def _pptx(baits: Baits) -> bytes:
    names = [f"i{number}" for number in range(len(baits.addresses))]
    main = "http://schemas.openxmlformats.org/presentationml/2006/main"
    pictures = "".join(
        f'<p:pic><p:nvPicPr><p:cNvPr id="{number + 2}" name="p"/><p:cNvPicPr/><p:nvPr/></p:nvPicPr><p:blipFill><a:blip r:{how}="{name}"/>'
        f'<a:stretch><a:fillRect/></a:stretch></p:blipFill><p:spPr><a:xfrm><a:off x="{900000 * number}" y="900000"/><a:ext cx="1800000" '
        'cy="1800000"/></a:xfrm><a:prstGeom prst="rect"/></p:spPr></p:pic>'
        for number, (name, how) in enumerate(
            (name, how) for name in names for how in ("link", "embed")
        )
    )
    slide = (
        f'<?xml version="1.0"?><p:sld xmlns:p="{main}" xmlns:a="{_DRAWING}/main" xmlns:r="{_OFFICE}"><p:cSld><p:spTree><p:nvGrpSpPr>'
        f'<p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>{pictures}</p:spTree></p:cSld></p:sld>'
    )
    show = (
        f'<?xml version="1.0"?><p:presentation xmlns:p="{main}" xmlns:r="{_OFFICE}"><p:sldIdLst><p:sldId id="256" r:id="s"/></p:sldIdLst>'
        '<p:sldSz cx="9144000" cy="6858000"/></p:presentation>'
    )
    more = '<Override PartName="/ppt/slides/slide1.xml" ContentType="application/vnd.openxmlformats-officedocument.presentationml.slide+xml"/>'
    entries = {
        "[Content_Types].xml": _types("presentationml.presentation", "ppt/presentation.xml", more),
        "_rels/.rels": _relations(("r", "officeDocument", "ppt/presentation.xml", False)),
        "ppt/presentation.xml": show,
        "ppt/_rels/presentation.xml.rels": _relations(("s", "slide", "slides/slide1.xml", False)),
        "ppt/slides/slide1.xml": slide,
        "ppt/slides/_rels/slide1.xml.rels": _relations(*((n, "image", a, True) for n, a in zip(names, baits.addresses, strict=True))),
    }  # fmt: skip
    return zip_of({name: text.encode() for name, text in entries.items()})


# --- Rich Text ---


def _rtf(baits: Baits) -> bytes:
    fields = ""
    for address in (
        *baits.addresses,
        *(address.removeprefix("file://") for address in baits.addresses),
    ):
        fields += rf'{{\field{{\*\fldinst INCLUDEPICTURE "{address}" \\d}}{{\fldrslt old}}}}\par '
        fields += rf'{{\field{{\*\fldinst {{\b INCLUDE}}{{PICTURE "{address}"}} \\d}}{{\fldrslt old}}}}\par '
        fields += (
            r"{\field{\*\fldinst \'49NCLUD\u69?PICTURE "
            + f'"{address}"'
            + r" \\d}{\fldrslt old}}\par "
        )
    fields += rf'{{\field{{\*\fldinst INCLUDETEXT "{baits.text}"}}{{\fldrslt old}}}}\par '
    shapes = "".join(
        r"{\shp{\*\shpinst\shpleft0\shptop0\shpright3000\shpbottom3000{\sp{\sn shapeType}{\sv 75}}{\sp{\sn pibName}{\sv "
        + address
        + r"}}{\sp{\sn pibFlags}{\sv 10}}}}"
        for address in baits.addresses
    )
    return rf"{{\rtf1{{\*\template {baits.text}}} words\par {fields}{shapes}}}".encode()
