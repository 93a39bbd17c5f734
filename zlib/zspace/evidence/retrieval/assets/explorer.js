// `data`: what zspace.evidence.retrieval.explorer puts together; `root`: the element to draw into.
const languages = Object.keys(data.found);
const layers = data.accuracy[languages[0]].length;

function element(tag, parent, text) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}

function labelled(parent, text, tag) {
  const label = element("label", parent, text);
  return element(tag, label);
}

const bar = element("div", root);
bar.className = "bar";
const language = labelled(bar, "language", "select");
languages.forEach((code) => element("option", language, code));
const direction = labelled(bar, "queries in", "select");
const layer = labelled(bar, "layer", "input");
layer.type = "range";
layer.min = 0;
layer.max = layers - 1;
const shown = element("output", layer.parentElement);
const level = labelled(bar, "show", "select");
["other story", "other story or other numbers"].forEach((text) => element("option", level, text));
const chart = element("div", root);
const summary = element("div", root);
summary.className = "summary";
const holder = element("div", root);
holder.className = "errors";
const table = element("table", holder);

function drawChart() {
  const values = data.accuracy[language.value];
  const [width, height, left, top] = [640, 90, 34, 8];
  const x = (k) => left + (k / Math.max(1, layers - 1)) * (width - left - 10);
  const y = (v) => top + (1 - v) * (height - 28);
  const points = values.map((v, k) => x(k).toFixed(1) + "," + y(v).toFixed(1)).join(" ");
  const at = Number(layer.value);
  const ticks = [0, 0.5, 1]
    .map((v) => '<line x1="' + left + '" x2="' + (width - 10) + '" y1="' + y(v) + '" y2="' + y(v) +
      '" stroke="#ddd"/><text x="' + (left - 6) + '" y="' + (y(v) + 4) +
      '" text-anchor="end" font-size="11" fill="#555">' + v + "</text>").join("");
  chart.innerHTML = '<svg viewBox="0 0 ' + width + " " + height + '" width="' + width + '" height="' + height +
    '" role="img" aria-label="accuracy by layer">' + ticks +
    '<polyline fill="none" stroke="#0072B2" stroke-width="2" points="' + points + '"/>' +
    '<circle cx="' + x(at) + '" cy="' + y(values[at]) + '" r="4.5" fill="#D55E00"/>' +
    '<text x="' + left + '" y="' + (height - 4) + '" font-size="11" fill="#555">layer 0</text>' +
    '<text x="' + (width - 10) + '" y="' + (height - 4) +
    '" text-anchor="end" font-size="11" fill="#555">layer ' + (layers - 1) + "</text></svg>";
}

function cell(row, code, item, note) {
  const made = element("td", row);
  const name = element("span", made, data.items[item] + (note || ""));
  name.className = "name";
  element("span", made, data.texts[code][item]);
}

function drawErrors() {
  const from = direction.selectedIndex === 0 ? data.anchor : language.value;
  const to = direction.selectedIndex === 0 ? language.value : data.anchor;
  const found = data.found[language.value][direction.selectedIndex];
  const at = Number(layer.value);
  const nearest = found.nearest[at];
  const strict = level.selectedIndex === 1;
  const wrong = nearest.map((got, item) => item)
    .filter((item) => (strict ? nearest[item] !== item
      : data.scenarios[nearest[item]] !== data.scenarios[item]));
  const what = strict ? "find another item" : "find another story";
  summary.textContent = wrong.length + " of " + nearest.length + " queries in " + from + " " + what +
    " at layer " + at + "; both directions, same story: " + data.accuracy[language.value][at].toFixed(2);
  table.replaceChildren();
  const head = element("tr", element("thead", table));
  ["query (" + from + ")", "nearest in " + to, "its own translation (" + to + ")"]
    .forEach((text) => element("th", head, text));
  const body = element("tbody", table);
  wrong.forEach((item) => {
    const row = element("tr", body);
    cell(row, from, item, data.confirmation[item] ? "" : ", discovery");
    cell(row, to, nearest[item]);
    cell(row, to, item, ", cosine lower by " + (found.gap[at][item] / 100).toFixed(2));
  });
}

function draw() {
  const chosen = Math.max(0, direction.selectedIndex);
  direction.replaceChildren();
  [data.anchor, language.value].forEach((code) => element("option", direction, code));
  direction.selectedIndex = chosen;
  shown.textContent = layer.value;
  drawChart();
  drawErrors();
}

const first = data.accuracy[languages[0]];
layer.value = first.indexOf(Math.max.apply(null, first));
[language, direction, layer, level].forEach((control) => control.addEventListener("input", draw));
draw();
