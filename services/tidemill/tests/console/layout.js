// What of the page is cut off or sticks out, as a list of texts. Runs inside the page under test.
const found = [];
const root = document.documentElement;
if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide in ${root.clientWidth}`);
const scrolls = (e) => /auto|scroll/.test(getComputedStyle(e).overflowX);
const inScroller = (e) => { for (let p = e.parentElement; p; p = p.parentElement) if (scrolls(p)) return true; return false; };
const hidden = (e) => {
  for (let p = e; p && p !== document.body; p = p.parentElement) {
    const style = getComputedStyle(p);
    const box = p.getBoundingClientRect();
    if (style.visibility === "hidden" || style.display === "none") return true;
    if (style.clipPath !== "none" || (style.clip !== "auto" && style.position === "absolute")) return true;
    if (p.matches("details:not([open])") && !p.querySelector(":scope > summary").contains(e)) return true;
    if (!(p instanceof SVGElement) && box.width <= 1 && box.height <= 1) return true;
    if (box.right <= 0 || box.bottom + scrollY <= 0) return true;
  }
  return false;
};
const text = (e) => [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join(" ").trim();
const named = (e) => `<${e.tagName.toLowerCase()}${e.className && e.className.baseVal === undefined ? "." + e.className : ""}> "${text(e).slice(0, 40)}"`;
for (const e of document.body.querySelectorAll("*")) {
  if (!text(e) || /^(SCRIPT|STYLE|TITLE|OPTION|DATALIST|DESC)$/i.test(e.tagName) || hidden(e)) continue;
  const box = e.getBoundingClientRect();
  if (box.width === 0 || box.height === 0) continue;
  if (e instanceof SVGElement) {
    const svg = e.ownerSVGElement || e;
    const around = svg.getBoundingClientRect();
    if (box.left < around.left - 2 || box.right > around.right + 2 || box.top < around.top - 3 || box.bottom > around.bottom + 3)
      found.push(`${named(e)} leaves its chart "${svg.getAttribute("aria-label")}" (${Math.round(box.left - around.left)}…${Math.round(box.right - around.left)} of ${Math.round(around.width)})`);
    continue;
  }
  const style = getComputedStyle(e);
  if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && /hidden|clip/.test(style.overflowX) && !inScroller(e)) found.push(`${named(e)} is cut: ${e.scrollWidth} in ${e.clientWidth}`);
  if (e.scrollHeight > e.clientHeight + 2 && e.clientHeight > 0 && /hidden|clip/.test(style.overflowY)) found.push(`${named(e)} is cut: ${e.scrollHeight} high in ${e.clientHeight}`);
  if (!inScroller(e) && (box.right > root.clientWidth + 1 || box.left < -1)) found.push(`${named(e)} sticks out: ${Math.round(box.left)} to ${Math.round(box.right)} of ${root.clientWidth}`);
  for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) {
    if (scrolls(p)) break;
    if (!/hidden|clip/.test(getComputedStyle(p).overflowX)) continue;
    const around = p.getBoundingClientRect();
    if (box.right > around.right + 1 || box.left < around.left - 1) { found.push(`${named(e)} is cut by ${named(p)}`); break; }
  }
}
return found.slice(0, 20);
