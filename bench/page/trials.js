// The list of trials, and the configuration of one of them in a dialogue.

let details;

async function openTrial(row, place) {
  details ??= read("details-data");
  const { pool, trials } = await details;
  const dialog = byId("trial"), link = byId("trial-download");
  const body = trials.length ? fromPool(pool, trials[place]) : { trial_id: row.id, note: "left out of this page: see the record" };
  const words = JSON.stringify(body, null, 2);
  byId("trial-title").textContent = `${isolated(row.task)} · ${isolated(row.method)} · L ${row.trained_on} · seed ${row.seed}`;
  byId("trial-file").textContent = row.status === "not run" ? "Planned, not run." : `Counts, curves and traces: trials/${row.id.slice(0, 2)}/${row.id}.json in the results folder.`;
  byId("trial-text").textContent = words;
  link.href = `data:application/json;charset=utf-8,${encodeURIComponent(words.toWellFormed?.() ?? words)}`;
  link.download = `${row.id}.json`;
  dialog.showModal();
  byId("trial-text").scrollTop = 0;
}

function startTrials(rows) {
  const form = byId("trial-facets"), fields = form.elements, facets = ["task", "method", "status"];
  for (const name of facets) fill(fields[name], sorted(rows.map((row) => row[name])));
  rows.forEach((row, place) => { row.place = place; });
  let length = null;
  const button = (id, row) => {
    const found = make("button", { type: "button", class: "link", "aria-label": `Configuration of ${row.task}, ${row.method}, L ${row.trained_on}, seed ${row.seed}` }, "configuration");
    found.addEventListener("click", () => openTrial(row, row.place));
    return found;
  };
  const words = { type: "string", show: text, classes: "text" }, number = { type: "num", show: text };
  const columns = [
    { data: "task", ...words }, { data: "method", ...words },
    { data: "trained_length", type: "num", show: (_, row) => text(row.trained_on) }, { data: "seed", ...number },
    { data: "status", type: "string", classes: "text", show: (value) => make("span", value === "ok" ? {} : { class: "status-bad" }, value) },
    { data: "score", type: "num", show: (value) => text(fixed(2)(value)) },
    { data: "reason", ...words, classes: "text reason" }, { data: "id", type: "string", classes: "text", show: button },
  ];
  const keep = (row) =>
    facets.every((name) => !fields[name].value || row[name] === fields[name].value) &&
    (length === null || row.trained_length === length) &&
    says(fields.words.value, row.task, row.method, row.status, row.reason, row.id);
  const grid = startTable(byId("trial-list"), rows, columns, [[0, "asc"], [1, "asc"], [2, "asc"], [3, "asc"]], keep);
  form.addEventListener("input", () => { length = null; grid.draw(); });
  form.addEventListener("reset", () => setTimeout(() => { length = null; grid.draw(); }));
  form.addEventListener("submit", (event) => event.preventDefault());
  byId("trial-close").addEventListener("click", () => byId("trial").close());
  byId("trial").addEventListener("click", (event) => { if (event.target === byId("trial")) byId("trial").close(); });
  return (line) => {
    form.reset();
    setTimeout(() => {
      fields.task.value = line.task;
      fields.method.value = line.method;
      length = line.trained_length;
      grid.draw();
      byId("trials").focus();
      byId("trials").scrollIntoView();
    });
  };
}
