"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };

  const show = (id) => {
    const target = document.getElementById(id);
    if (target && target.tagName === "DETAILS") {
      target.open = true;
      target.scrollIntoView();
    }
  };

  for (const [name, figure] of Object.entries(figures)) {
    const place = document.getElementById("chart-" + name);
    if (!place) continue;
    Plotly.newPlot(place, figure.data, figure.layout, config);
    place.on("plotly_click", (event) => {
      const trial = event.points[0].customdata;
      if (trial !== undefined) location.hash = "trial-" + trial;
    });
  }

  // A hash that is set twice fires no event, so a click on a link opens its target by itself.
  addEventListener("hashchange", () => show(location.hash.slice(1)));
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest('a[href^="#trial-"]');
    if (link) show(link.getAttribute("href").slice(1));
  });
  show(location.hash.slice(1));

  const table = document.getElementById("candidates");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];

  const key = (row, column) => {
    const cell = row.cells[column];
    const value = cell.dataset.value;
    if (value === undefined) return cell.textContent.trim();
    return value === "" ? null : Number(value);
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(String(b)));

  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      // What is not known comes last in either direction.
      rows.sort((first, second) => {
        const a = key(first, column);
        const b = key(second, column);
        if (a === null || b === null) return (a === null) - (b === null);
        return down ? compare(b, a) : compare(a, b);
      });
      body.append(...rows);
    });
  });

  document.getElementById("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
})();
