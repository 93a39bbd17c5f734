// Filters of the verdict table: a claim, a model, a language. The row "all" is shown for every language.
const pick = (id) => document.getElementById(id);
const filters = ["claim", "language", "model"].map((name) => pick(`filter-${name}`));

function filter() {
  const [claim, language, model] = filters.map((select) => select.value);
  const shown = new Set();
  for (const group of document.querySelectorAll("tbody.group")) {
    let any = false;
    for (const row of group.querySelectorAll("tr.row")) {
      row.hidden = Boolean(language) && ![language, "*"].includes(row.dataset.language);
      any ||= !row.hidden;
    }
    group.hidden = !any || (claim && group.dataset.claim !== claim) || (model && group.dataset.model !== model);
    if (!group.hidden) shown.add(group.dataset.claim);
  }
  for (const head of document.querySelectorAll("tbody.claim")) head.hidden = !shown.has(head.dataset.claim);
  document.querySelector(".nothing").hidden = shown.size > 0;
}

filters.forEach((select) => select.addEventListener("change", filter));
pick("open-controls").addEventListener("change", (event) => {
  for (const details of document.querySelectorAll("details.controls")) {
    details.open = event.target.checked || details.querySelector("li.fail") !== null;
  }
});
filter();
