// The page's data, and elements made of it. Names are handed on as text nodes, never as markup.

const byId = (id) => document.getElementById(id);

async function read(id) {
  const source = byId(id);
  if (!("packed" in source.dataset)) return JSON.parse(source.textContent);
  const bytes = Uint8Array.from(atob(source.textContent), (mark) => mark.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

// Columns, as packing.py writes them -> one object a row.
function rowsOf(columns) {
  const names = Object.keys(columns);
  const lists = names.map((name) => {
    const { words, places } = columns[name];
    return words ? places.map((place) => words[place]) : columns[name];
  });
  return (lists[0] ?? []).map((_, row) => Object.fromEntries(names.map((name, i) => [name, lists[i][row]])));
}

// Place `place` of a pool, as packing.Pool builds it -> the nested value.
function fromPool(entries, place) {
  const node = entries[place];
  if (Array.isArray(node)) return node.map((item) => fromPool(entries, item));
  if (node === null || typeof node !== "object") return node;
  return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, fromPool(entries, item)]));
}

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function text(value) {
  return document.createTextNode(value ?? "");
}

// A name within a sentence: marks of direction in it end with it.
function isolated(name) {
  return `\u2068${name}\u2069`;
}

function fixed(digits) {
  return (value) => (value === null ? "" : value.toFixed(digits));
}

// 1.23 G: three digits and a power of a thousand, as in the tables.
function engineering(value) {
  if (value === null) return "";
  const units = ["", "k", "M", "G", "T", "P", "E"];
  const power = value < 1000 ? 0 : Math.min(Math.floor(Math.log10(value) / 3 + 1e-12), 6);
  return `${Number((value / 1000 ** power).toPrecision(3))} ${units[power]}`.trim();
}

// "2.5 M", "1e6" -> a number; NaN where it is none.
function parsed(entry) {
  const found = /^\s*([\d.]+(?:e[+-]?\d+)?)\s*([kMGTPE]?)\s*$/.exec(entry);
  return found ? Number(found[1]) * 1000 ** " kMGTPE".indexOf(found[2] || " ") : NaN;
}

function sorted(values) {
  const order = new Intl.Collator("en", { numeric: true });
  return [...new Set(values)].filter((value) => value !== "").sort((a, b) => (typeof a === "number" ? a - b : order.compare(a, b)));
}

function fill(select, values, labels = (value) => value) {
  for (const value of values) select.add(new Option(labels(value), value));
}
