// The leaderboard: its columns, its filters, and what is shown by default.

function interval(low, row) {
  const box = document.createDocumentFragment();
  if (row.score === null) return text("");
  if (low !== null) box.append(`[${low.toFixed(2)}, ${row.high.toFixed(2)}]`);
  const bar = make("span", { class: "range", "aria-hidden": "true" }), dot = make("b", {});
  if (low !== null) {
    const whisker = make("i", {});
    whisker.style.left = `${low}%`;
    whisker.style.width = `${row.high - low}%`;
    bar.append(whisker);
  }
  dot.style.left = `${row.score}%`;
  bar.append(dot);
  return make("span", {}, box, bar);
}

function boardColumns(seeTrials) {
  const words = (classes = "text") => ({ type: "string", show: text, classes });
  const plain = (write) => ({ type: "num", show: (value) => text(write(value)) });
  const whole = (value) => (value === null ? "" : value.toLocaleString("en"));
  const seeds = (value, row) => {
    const button = make("button", { type: "button", class: "link", "aria-label": `${value} of ${row.planned} trials of ${row.method} on ${row.task}: show them` }, `${value}/${row.planned}`);
    button.addEventListener("click", () => seeTrials(row));
    return button;
  };
  return {
    task: words(), method: words(), family: { ...words(), visible: false },
    causal: { ...words(), visible: false }, iterates: { ...words(), visible: false },
    trained_length: { type: "num", show: (_, row) => text(row.trained_on) },
    length: { ...plain(whole), visible: false }, iterations: plain(whole),
    trained: { type: "num", show: (value, row) => text(row.iterations === null ? "" : value ? "yes" : "no"), visible: false },
    metric: words(), score: plain(fixed(2)), low: { type: "num", show: interval },
    normalised: plain(fixed(3)), whole: plain(fixed(2)), chance: { ...plain(fixed(2)), visible: false },
    flops: plain(engineering), parameters: plain(whole), train_flops: plain(engineering),
    seeds: { type: "num", show: seeds }, notes: words("text notes quiet"),
  };
}

function startBoard(lines, seeTrials) {
  const form = byId("facets"), fields = form.elements, table = byId("board");
  for (const name of ["task", "family", "causal", "iterates"]) fill(fields[name], sorted(lines.map((line) => line[name])));
  const keep = (line) =>
    (fields.budgets.checked || line.trained) &&
    (fields.longer.checked || line.length === line.trained_length) &&
    (line.counted === "both" || line.counted === (fields.failed.checked ? "out" : "chance")) &&
    ["task", "family", "causal", "iterates"].every((name) => !fields[name].value || line[name] === fields[name].value) &&
    (fields.budget.value === "" || line.iterations <= Number(fields.budget.value)) &&
    (Number.isNaN(parsed(fields.flops.value)) || (line.flops !== null && line.flops <= parsed(fields.flops.value))) &&
    says(fields.words.value, line.task, line.method, line.family, line.metric, line.notes);
  const shapes = boardColumns(seeTrials), heads = [...table.tHead.rows[0].cells];
  const columns = heads.map((head) => ({ data: head.dataset.key, ...shapes[head.dataset.key] }));
  const place = (name) => columns.findIndex((column) => column.data === name);
  const order = [[place("task"), "asc"], [place("trained_length"), "asc"], [place("score"), "desc"]];
  const grid = startTable(table, lines, columns, order, keep);
  const show = () => {
    const shown = { length: fields.longer.checked, trained: fields.budgets.checked };
    for (const name of ["family", "causal", "iterates", "chance"]) shown[name] = fields.more.checked;
    for (const [name, on] of Object.entries(shown)) grid.column(place(name)).visible(on, false);
    const bad = fields.flops.value.trim() !== "" && Number.isNaN(parsed(fields.flops.value));
    fields.flops.setCustomValidity(bad ? "A number, such as 2.5 M or 1e6" : "");
    fields.flops.setAttribute("aria-invalid", String(bad));
    grid.draw();
  };
  form.addEventListener("input", show);
  form.addEventListener("reset", () => setTimeout(show));
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
}
