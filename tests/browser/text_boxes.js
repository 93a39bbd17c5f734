// Every visible line of text of a page with the four corners of its box, in page coordinates: text nodes by line,
// a formula as one box, SVG text (which may be turned) by its transformed box. What a scrolling ancestor hides
// sideways is clipped.
() => {
  const boxes = [];
  const seen = (element) => element.checkVisibility({opacityProperty: true, visibilityProperty: true});
  const onPage = ([x, y]) => [x + scrollX, y + scrollY];

  const put = (element, rect, kind, text) => {
    let {left, top, right, bottom} = rect;
    for (let up = element; up && up !== document.documentElement; up = up.parentElement) {
      if (getComputedStyle(up).overflowX === "visible") continue;
      const opening = up.getBoundingClientRect();
      left = Math.max(left, opening.left);
      right = Math.min(right, opening.right);
    }
    if (right - left <= 1 || bottom - top <= 1) return;
    const corners = [[left, top], [right, top], [right, bottom], [left, bottom]].map(onPage);
    boxes.push({text, kind, corners});
  };

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || parent.closest("script, style, math, svg, option, title") || !seen(parent)) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const kind = parent.closest("pre, code, .dollar") ? "code" : "prose";
    for (const rect of range.getClientRects()) put(parent, rect, kind, text);
  }

  for (const math of document.querySelectorAll("math")) {
    if (seen(math)) put(math.parentElement, math.getBoundingClientRect(), "formula", math.textContent.trim());
  }

  for (const element of document.querySelectorAll("svg text")) {
    const text = element.textContent.trim();
    const box = element.getBBox();
    if (!text || !box.width || !seen(element)) continue;
    const matrix = element.getScreenCTM();
    const at = (x, y) => {
      const point = new DOMPoint(x, y).matrixTransform(matrix);
      return onPage([point.x, point.y]);
    };
    const {x, y, width, height} = box;
    const corners = [at(x, y), at(x + width, y), at(x + width, y + height), at(x, y + height)];
    const figure = element.closest(".js-plotly-plot");
    const around = figure && figure.getBoundingClientRect();
    const frame = around && [...onPage([around.left, around.top]), ...onPage([around.right, around.bottom])];
    boxes.push({text, kind: "svg", corners, frame});
  }
  return boxes;
}
