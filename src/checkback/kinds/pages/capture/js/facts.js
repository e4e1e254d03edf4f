// What the document says about itself. Everything is capped: a hostile page decides how long its texts are.
() => {
  const cut = (value, length) => String(value ?? "").replace(/\s+/g, " ").trim().slice(0, length);
  const all = (selector, most) => [...document.querySelectorAll(selector)].slice(0, most);
  const meta = (name) => {
    const found = document.querySelector(`meta[name="${name}" i],meta[property="${name}" i]`);
    return found ? cut(found.content, 500) : "";
  };
  const link = (rel) => {
    const found = document.querySelector(`link[rel~="${rel}" i]`);
    return found ? cut(found.href, 1000) : "";
  };
  const property = {};
  for (const tag of all('meta[property^="og:" i],meta[name^="twitter:" i]', 40)) {
    property[cut(tag.getAttribute("property") || tag.name, 60)] = cut(tag.content, 500);
  }
  const anchors = all("a[href]", 5000);
  const links = { internal: 0, external: 0, empty: 0, vague: 0 };
  for (const anchor of anchors) {
    const raw = anchor.getAttribute("href").trim();
    if (raw === "" || raw === "#" || raw.toLowerCase().startsWith("javascript:")) links.empty += 1;
    else if (anchor.origin === location.origin || !anchor.protocol.startsWith("http")) links.internal += 1;
    else links.external += 1;
    if (/^(click here|here|more|read more|learn more)$/i.test(cut(anchor.textContent, 40))) links.vague += 1;
  }
  const images = all("img", 5000);
  const jsonLd = all('script[type="application/ld+json"]', 20).map((script) => {
    try {
      const value = JSON.parse(script.textContent);
      const types = (Array.isArray(value) ? value : value["@graph"] || [value]).map((item) => item["@type"]);
      return types.flat().filter(Boolean).map((type) => cut(type, 60)).slice(0, 20);
    } catch { return ["(not valid JSON)"]; }
  }).flat();
  const root = document.scrollingElement || document.documentElement;
  const fields = all("input:not([type=hidden]):not([type=submit]):not([type=button]),select,textarea", 1000);
  return {
    title: cut(document.title, 300),
    description: meta("description"),
    lang: cut(document.documentElement.lang, 35),
    dir: getComputedStyle(document.documentElement).direction,
    charset: document.characterSet,
    compatMode: document.compatMode,
    canonical: link("canonical"),
    robots: meta("robots"),
    generator: meta("generator"),
    viewport: meta("viewport"),
    themeColor: meta("theme-color"),
    favicon: link("icon") || link("apple-touch-icon"),
    social: property,
    jsonLd: jsonLd.slice(0, 40),
    hreflang: all('link[rel="alternate"][hreflang]', 100).map((tag) => cut(tag.hreflang, 20)),
    links,
    images: {
      total: images.length,
      withoutAlt: images.filter((image) => !image.hasAttribute("alt")).length,
      broken: images.filter((image) => image.complete && image.naturalWidth === 0 && image.currentSrc).length,
      withoutSize: images.filter((image) => !image.width || !image.height).length,
      oversized: images.filter((image) => image.naturalWidth > 2 * image.width * devicePixelRatio
        && image.naturalWidth * image.naturalHeight > 250000 && image.width > 0).length,
    },
    fields: fields.length,
    unlabelledFields: fields.filter((field) => !(field.labels && field.labels.length) && !field.title
      && !field.getAttribute("aria-label") && !field.getAttribute("aria-labelledby")).length,
    scripts: all("script[src]", 200).map((script) => cut(script.src, 500)),
    styleSheetLinks: all('link[rel~="stylesheet" i]', 100).map((tag) => cut(tag.href, 500)),
    customElements: [...new Set(all("*", 20000).map((element) => element.localName)
      .filter((name) => name.includes("-")))].slice(0, 40),
    elements: document.getElementsByTagName("*").length,
    textLength: (document.body ? document.body.innerText : "").trim().length,
    pageWidth: root.scrollWidth,
    pageHeight: Math.max(root.scrollHeight, document.body ? document.body.scrollHeight : 0),
    canvases: document.getElementsByTagName("canvas").length,
    frames: document.getElementsByTagName("iframe").length,
  };
}
