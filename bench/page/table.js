// A sorted and paged table by DataTables, over rows that are plain objects.
//
// A column is { data, type: "num" | "string", show: value, row -> Node }. Display is always a node
// and searching is a function, since DataTables reads strings as markup.

function startTable(table, rows, columns, order, keep) {
  const defined = columns.map(({ data, type, show, visible = true, classes = "" }) => ({
    data, type, visible, className: classes, searchable: false, name: data,
    orderSequence: type === "num" ? ["desc", "asc"] : ["asc", "desc"],
    render: (value, purpose, row) =>
      purpose === "display" ? show(value, row) : value ?? (type === "num" ? -Infinity : ""),
  }));
  table.tBodies[0].replaceChildren();
  table.classList.remove("plain");
  const grid = new DataTable(table, {
    data: rows, columns: defined, order, autoWidth: false, deferRender: true, pageLength: 25,
    lengthMenu: [25, 50, 100, 500],
    layout: { topStart: null, topEnd: null, bottomStart: ["info", "pageLength"], bottomEnd: "paging" },
    language: {
      info: "_START_ to _END_ of _TOTAL_", infoEmpty: "none", infoFiltered: "(of _MAX_)",
      lengthMenu: "_MENU_ a page", zeroRecords: "Nothing fits these filters.", emptyTable: "Nothing here.",
    },
  });
  // Only the table scrolls sideways, not its foot.
  const box = table.closest(".scroll");
  for (const row of grid.table().container().querySelectorAll(".dt-layout-row:not(.dt-layout-table)")) box.after(row);
  table.tHead.addEventListener("keydown", (event) => {
    const target = event.target.closest(".dt-column-order");
    if (event.key !== " " || !target) return;
    event.preventDefault();
    target.click();
  });
  grid.search.fixed("facets", (_, row) => keep(row));
  grid.draw();
  return grid;
}

// Every word of an entry stands in one of the texts.
function says(entry, ...texts) {
  const all = texts.join(" ").toLowerCase();
  return entry.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}
