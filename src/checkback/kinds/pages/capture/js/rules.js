// Counts the style rules that match something on the page as it stands. The browser's own count costs each of
// its style passes dearly; this asks once. `texts` are style sheets that belong to other hosts, whose rules no
// script may read: they are parsed again, without being applied. Without them, the page's own are counted.
({ texts, milliseconds }) => {
  const end = performance.now() + milliseconds;
  const roots = [document], names = new Set();
  const fold = document.compatMode === "BackCompat" ? (name) => name.toLowerCase() : (name) => name;
  for (let at = 0; at < roots.length; at += 1) {
    for (const element of roots[at].querySelectorAll("*")) {
      if (element.id) names.add("#" + fold(element.id));
      for (const name of element.classList) names.add("." + fold(name));
      if (element.shadowRoot && roots.length < 2000) roots.push(element.shadowRoot);
    }
  }
  // A name that stands nowhere settles most selectors. Brackets may say the opposite, or hold a comma.
  const NAME = /[.#](?:[\w-]|[^\x00-\x7f]|\\[^0-9a-fA-F\n])+/g;
  const isAbsent = (selector) => {
    if (/\\[0-9a-fA-F]/.test(selector)) return false;
    return (selector.match(NAME) || []).some((name) => !names.has(fold(name.replace(/\\/g, ""))));
  };
  // Pseudo-elements are part of what the selector before them matches.
  const PSEUDO = /::[\w-]+(?:\([^()]*\))?|:(?:before|after|first-line|first-letter)(?![\w-])/g;
  const plain = (selector) => selector.replace(PSEUDO, (found, at) => (/^$|[\s>+~,(]/.test(selector.slice(at - 1, at)) ? "*" : ""));
  const matches = (root, selector) => {
    // What a shadow tree says of its host is said of something that is there.
    if (root !== document && selector.includes(":host")) return true;
    try { return Boolean(root.querySelector(plain(selector))); } catch { return false; }
  };
  const isUsed = (root, selector) => /[([]/.test(selector)
    ? matches(root, selector)
    : selector.split(",").some((one) => !isAbsent(one) && matches(root, one));
  const applies = (rule) => {
    if (rule instanceof CSSMediaRule) return matchMedia(rule.conditionText).matches;
    if (rule instanceof CSSSupportsRule) return CSS.supports(rule.conditionText);
    return true;
  };
  const read = new Set();
  let used = 0, complete = true;
  const sheet = (one, root) => {
    let rules;
    if (one.disabled || (one.media && one.media.length && !matchMedia(one.media.mediaText).matches)) rules = [];
    else try { rules = one.cssRules; } catch { return; }
    if (one.href) read.add(one.href);
    group(rules, root, "");
  };
  const group = (rules, root, outer) => {
    for (const rule of rules) {
      if (performance.now() > end) { complete = false; return; }
      if (rule instanceof CSSImportRule) {
        if (rule.styleSheet) sheet(rule.styleSheet, root);
      } else if (rule instanceof CSSStyleRule) {
        const selector = outer ? rule.selectorText.replace(/&/g, `:is(${outer})`) : rule.selectorText;
        if (isUsed(root, selector)) used += 1;
        if (rule.cssRules.length) group(rule.cssRules, root, plain(selector));
      } else if (rule.cssRules && !(rule instanceof CSSKeyframesRule) && applies(rule)) {
        group(rule.cssRules, root, outer);
      }
    }
  };
  if (texts) {
    for (const text of texts) {
      const parsed = new CSSStyleSheet();
      parsed.replaceSync(text);
      sheet(parsed, document);
    }
  } else {
    const seen = new Set();
    for (const root of roots) {
      for (const one of [...root.styleSheets, ...root.adoptedStyleSheets]) {
        if (!seen.has(one)) sheet(one, root);
        seen.add(one);
      }
    }
  }
  return { used, complete, read: [...read].slice(0, 500).map((url) => url.slice(0, 500)) };
}
