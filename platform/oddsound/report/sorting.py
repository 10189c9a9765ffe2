"""The one script of a page: tables that are sorted by a click or a key on a column's name.

A head over several columns sorts nothing, and each part of a table is sorted within itself. Without scripts
the names are plain text and the tables as they were written.
"""

SCRIPT = """
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.querySelectorAll("th:not([colspan])")];
  const value = (row, column) => {
    const cell = row.cells[column], given = cell.dataset.value;
    return given === undefined ? cell.textContent : given === "" ? null : Number(given);
  };
  const sort = (column, sign) => {
    const compare = (a, b) => {
      const x = value(a, column), y = value(b, column);
      if (x === null || y === null) return (x === null) - (y === null);
      if (typeof x !== typeof y) return sign * (typeof x === "number" ? -1 : 1);
      return sign * (typeof x === "number" ? x - y : x.localeCompare(y, "en", {numeric: true}));
    };
    for (const body of table.tBodies) body.append(...[...body.rows].sort(compare));
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(each => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      sort(column, up ? 1 : -1);
    });
  });
}
"""
