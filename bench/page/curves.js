// Two charts by uPlot: score over test length, and over iterations (the anytime curve).

const DASHES = { "-": [], "--": [7, 4], "-.": [7, 3, 2, 3], ":": [2, 3] };
const SHOWN = 8;

const ink = (name) => getComputedStyle(byId(name)).color;
const hex = (look) => `rgb(${look.slice(0, 3).map((part) => Math.round(255 * part)).join(" ")})`;

// One chart: lines are [{ name, points: Map x -> line }], xs the ticks, place a tick's position.
function chart(box, readout, looks, lines, xs, place, label) {
  box.replaceChildren();
  readout.textContent = "";
  if (xs.length < 2) {
    box.append(make("p", {}, `Only one value of ${label} was scored.`));
    return null;
  }
  const at = xs.map(place), quiet = ink("length-readout"), rule = getComputedStyle(byId("curves-title")).borderBottomColor;
  const value = (line, field) => xs.map((x) => line.points.get(x)?.[field] ?? null);
  const series = lines.map((line) => ({
    label: line.name, show: line.shown, stroke: line.chance ? quiet : hex(looks[line.name]), width: line.chance ? 1 : 2,
    dash: line.chance ? [1, 4] : DASHES[looks[line.name][4]], points: { show: !line.chance, size: 6 }, spanGaps: true,
  }));
  const whiskers = (plot) => {
    const { ctx } = plot;
    ctx.save();
    const visible = lines.filter((line, i) => !line.chance && plot.series[i + 1].show);
    visible.forEach((line, i) => {
      const aside = (i - (visible.length - 1) / 2) * 3 * devicePixelRatio; // so that none hides another
      ctx.strokeStyle = hex(looks[line.name]);
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([]);
      ctx.beginPath();
      for (const x of xs) {
        const found = line.points.get(x);
        if (!found || found.low === null) continue;
        const left = plot.valToPos(place(x), "x", true) + aside;
        ctx.moveTo(left, plot.valToPos(found.low, "y", true));
        ctx.lineTo(left, plot.valToPos(found.high, "y", true));
      }
      ctx.stroke();
    });
    ctx.restore();
  };
  const tell = (plot) => {
    const x = xs[plot.cursor.idx];
    const told = lines.filter((line, i) => !line.chance && plot.series[i + 1].show && line.points.get(x));
    const words = told.map((line) => `${isolated(line.name)} ${line.points.get(x).score.toFixed(1)}`);
    readout.textContent = x === undefined || !told.length ? "" : `${label} ${x}: ${words.join(", ")}`;
  };
  const axis = { stroke: quiet, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule, width: 1 }, font: "12px system-ui, sans-serif" };
  const plot = new uPlot({
    width: box.clientWidth, height: 300, legend: { show: false }, cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: false, range: (_, low, high) => [low - 0.15, high + 0.15] }, y: { range: [-2, 102] } },
    axes: [
      { ...axis, splits: () => at, values: () => xs.map(String), label, labelSize: 22, labelFont: axis.font },
      { ...axis, values: (_, ticks) => ticks.map(String), label: "score, %", labelSize: 20, labelFont: axis.font, size: 42 },
    ],
    series: [{}, ...series], hooks: { draw: [whiskers], setCursor: [tell] },
  }, [at, ...lines.map((line) => value(line, "score"))], box);
  return plot;
}

// Lines of some leaderboard rows over one of their fields, and chance.
function chartLines(rows, field, xs, shown) {
  const found = new Map();
  for (const row of rows) {
    if (!found.has(row.method)) found.set(row.method, new Map());
    found.get(row.method).set(row[field], row);
  }
  const level = new Map(rows.filter((row) => row.chance !== null).map((row) => [row[field], { score: row.chance, low: null }]));
  const lines = [...found].map(([name, points]) => ({ name, points, shown: shown.has(name) }));
  return [...lines, { name: "chance", chance: true, points: level, shown: true }];
}

function swatch(look) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS(svg.namespaceURI, "line");
  for (const [name, value] of Object.entries({ width: 26, height: 8, "aria-hidden": "true" })) svg.setAttribute(name, value);
  for (const [name, value] of Object.entries({ x1: 0, x2: 26, y1: 4, y2: 4, "stroke-width": 2.5, stroke: hex(look), "stroke-dasharray": DASHES[look[4]].join(" ") })) line.setAttribute(name, value);
  svg.append(line);
  return svg;
}

function startCurves(lines, { rows: looks, reference }) {
  const form = byId("curve-choice"), fields = form.elements;
  const scored = lines.filter((line) => line.counted !== "out" && line.score !== null);
  let plots = [], shown = new Set();
  const chosen = () => scored.filter((line) => line.task === fields.task.value && line.trained_length === Number(fields.trained.value));
  const choices = (select, values, kept) => {
    select.replaceChildren();
    fill(select, values);
    if (values.map(String).includes(String(kept))) select.value = kept;
  };
  const draw = () => {
    plots.forEach((plot) => plot?.destroy());
    const rows = chosen(), length = Number(fields.tested.value), lengths = sorted(rows.map((row) => row.length));
    const here = rows.filter((row) => row.length === length), budgets = sorted(here.map((row) => row.iterations));
    const level = here.filter((row) => row.iterates === "nothing").flatMap((row) => budgets.map((iterations) => ({ ...row, iterations })));
    const moving = here.filter((row) => row.iterates !== "nothing");
    plots = [
      chart(byId("length-chart"), byId("length-readout"), looks, chartLines(rows.filter((row) => row.trained), "length", lengths, shown), lengths, Math.log2, "test length"),
      chart(byId("anytime-chart"), byId("anytime-readout"), looks, chartLines([...level, ...moving], "iterations", budgets, shown), budgets, (k) => Math.log2(1 + k), "K"),
    ];
    byId("anytime-title").textContent = `Score over iterations, tested at L = ${length}`;
  };
  const legend = () => {
    const best = new Map();
    for (const row of chosen()) if (row.trained && row.length === row.trained_length) best.set(row.method, row.score);
    const names = [...best.keys()].sort((a, b) => best.get(b) - best.get(a));
    shown = new Set([...names.slice(0, SHOWN), ...names.filter((name) => name === reference)]);
    byId("legend").replaceChildren(...names.map((name) => {
      const input = make("input", { type: "checkbox" });
      input.checked = shown.has(name);
      input.addEventListener("change", () => { shown[input.checked ? "add" : "delete"](name); draw(); });
      return make("label", {}, input, swatch(looks[name]), make("span", { title: name }, name));
    }));
  };
  const chooseTask = () => { choices(fields.trained, sorted(scored.filter((line) => line.task === fields.task.value).map((line) => line.trained_length)), fields.trained.value); chooseTrained(); };
  const chooseTrained = () => { choices(fields.tested, sorted(chosen().map((line) => line.length)), fields.trained.value); legend(); draw(); };
  fields.task.addEventListener("change", chooseTask);
  fields.trained.addEventListener("change", chooseTrained);
  fields.tested.addEventListener("change", draw);
  form.addEventListener("submit", (event) => event.preventDefault());
  new ResizeObserver(() => plots.forEach((plot) => plot?.setSize({ width: plot.root.parentElement.clientWidth, height: 300 }))).observe(byId("curves"));
  fill(fields.task, sorted(scored.map((line) => line.task)));
  if (scored.length) chooseTask();
  else byId("length-chart").append(make("p", {}, "No trial has a score yet."));
  return () => { if (scored.length) draw(); };
}
