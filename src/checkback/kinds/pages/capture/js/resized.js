// What a window size does to the page.
({ minTap, minText }) => {
  const root = document.scrollingElement || document.documentElement;
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  let small = 0, looked = 0;
  for (const element of document.querySelectorAll("a[href],button,input:not([type=hidden]),select,textarea,summary")) {
    if (looked++ > 3000) break;
    if (!shown(element)) continue;
    const box = element.getBoundingClientRect();
    // A link in a line of text may be small; WCAG 2.2 (2.5.8) leaves it out.
    if (element.localName === "a" && getComputedStyle(element).display === "inline") continue;
    if (box.width > 0 && (box.width < minTap || box.height < minTap)) small += 1;
  }
  let smallText = 0, texts = 0;
  const walker = document.createTreeWalker(document.body || document, NodeFilter.SHOW_TEXT);
  while (walker.nextNode() && texts < 4000) {
    const text = walker.currentNode.nodeValue.trim();
    const parent = walker.currentNode.parentElement;
    if (!text || !parent) continue;
    texts += 1;
    if (parseFloat(getComputedStyle(parent).fontSize) < minText && shown(parent)) smallText += text.length;
  }
  return {
    pageWidth: root.scrollWidth,
    pageHeight: Math.max(root.scrollHeight, document.body ? document.body.scrollHeight : 0),
    innerWidth: document.documentElement.clientWidth,
    smallTapTargets: small,
    smallText,
  };
}
