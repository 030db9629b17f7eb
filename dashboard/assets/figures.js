// Draws the figures that the server sends: adds how they look, and puts the theme's colours in the place of their names.

const PALETTES = {
  light: {
    ink: "#1c2024", text: "#565d65", axis: "#b4bac0", grid: "#e8eaec", surface: "#ffffff", faint: "#f3f1ec",
    band: "rgba(28, 32, 36, 0.13)",
    target1: "#e69f00", target1Soft: "rgba(230, 159, 0, 0.28)", target1Deep: "#6b4400",
    target2: "#0072b2", target2Soft: "rgba(0, 114, 178, 0.22)", target2Deep: "#00263d",
    target3: "#009e73", target3Soft: "rgba(0, 158, 115, 0.24)", target3Deep: "#003d2c",
    target4: "#cc79a7", target4Soft: "rgba(204, 121, 167, 0.26)", target4Deep: "#4f2038",
    year1: "#4d555e", year2: "#009e73", year3: "#cc79a7", year4: "#56b4e9", year5: "#d55e00",
  },
  dark: {
    ink: "#f0f2f4", text: "#a3abb3", axis: "#5c646d", grid: "#2b3036", surface: "#1d2126", faint: "#23282e",
    band: "rgba(240, 242, 244, 0.17)",
    target1: "#e69f00", target1Soft: "rgba(230, 159, 0, 0.30)", target1Deep: "#ffe1a1",
    target2: "#56b4e9", target2Soft: "rgba(86, 180, 233, 0.28)", target2Deep: "#dff2fd",
    target3: "#21c79a", target3Soft: "rgba(33, 199, 154, 0.28)", target3Deep: "#cff8ec",
    target4: "#e29cc4", target4Soft: "rgba(226, 156, 196, 0.28)", target4Deep: "#fbe9f3",
    year1: "#a3abb3", year2: "#21c79a", year3: "#e29cc4", year4: "#3f8fd0", year5: "#ff8040",
  },
};

// What all figures share, in pixels.
const LAYOUT = {
  margin: { l: 48, r: 12, t: 30, b: 40 },
  paper_bgcolor: "rgba(0,0,0,0)",
  plot_bgcolor: "rgba(0,0,0,0)",
  font: { family: "system-ui, sans-serif", size: 12, color: "@text" },
  legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", traceorder: "normal" },
  hoverlabel: { bgcolor: "@surface", bordercolor: "@grid", font: { color: "@ink" }, namelength: -1 },
  hovermode: "x unified",
  dragmode: false,
  template: { layout: { annotationdefaults: { xanchor: "left", yref: "paper", showarrow: false } } },
};

const MS = 86400000; // a day in milliseconds, plotly's unit for a step in time
const DATES = {
  showgrid: false, showline: true, linecolor: "@axis", ticks: "outside", tickcolor: "@axis",
  // ISO dates at every zoom; two lines where the second one says what does not change from tick to tick.
  tickformatstops: [
    { dtickrange: [null, MS - 1], value: "%H:%M\n%Y-%m-%d" },
    { dtickrange: [MS, 28 * MS - 1], value: "%m-%d\n%Y" },
    { dtickrange: [28 * MS, "M11"], value: "%Y-%m" },
    { dtickrange: ["M12", null], value: "%Y" },
  ],
};
// The settings of an axis or a colour bar by the name of its look.
const LOOKS = {
  dates: DATES,
  // Of a leap year.
  months: {
    ...DATES, range: ["2000-01-01", "2000-12-31"], dtick: "M1", tickformat: "%b", tickformatstops: [], tickangle: 0,
    tickfont: { size: 10 },
  },
  values: {
    hoverformat: ".2f", // of %{y}, which has the unit and a real minus; %{y:.2f} has neither
    gridcolor: "@grid", zerolinecolor: "@axis", showticksuffix: "last", nticks: 6, fixedrange: true,
  },
  cells: { showgrid: false, zeroline: false, fixedrange: true },
  below: {
    orientation: "h", thickness: 8, len: 0.5, x: 1, xanchor: "right", y: -0.12, yanchor: "top", nticks: 5, outlinewidth: 0,
  },
};

function coloured(part, palette) {
  if (typeof part === "string") {
    return part[0] === "@" ? palette[part.slice(1)] : part;
  }
  if (Array.isArray(part)) {
    return part.map((piece) => coloured(piece, palette));
  }
  if (part && typeof part === "object") {
    // What is not touched is not copied either: the numbers.
    const { look, ...own } = part;
    return Object.fromEntries(
      Object.entries({ ...LOOKS[look], ...own })
        .map(([key, piece]) => [key, key === "bdata" ? piece : coloured(piece, palette)]),
    );
  }
  return part;
}

// Tells the page which theme is in force, at the start, after a click, and when the system changes its own.
const root = document.documentElement;
const tell = () => window.dash_clientside.set_props && document.getElementById("scheme")
  && window.dash_clientside.set_props("theme", { data: root.dataset.mantineColorScheme });
new MutationObserver(tell).observe(root, { attributes: true, attributeFilter: ["data-mantine-color-scheme"] });

// How each figure that is shown is drawn in the colours of a palette.
const drawings = {};
const palette = () => PALETTES[root.dataset.mantineColorScheme] || PALETTES.light;

// Paper is white and narrower than a window: the figures are drawn anew for it, and afterwards for the screen again.
function redraw(colours, onPaper) {
  for (const [id, drawing] of Object.entries(drawings)) {
    const graph = document.querySelector(`#${id} .js-plotly-plot`);
    if (graph) {
      const { data, layout } = drawing(colours);
      const width = onPaper ? (graph.closest(".columns") ? 320 : 680) : undefined; // as in style.css
      const config = { displayModeBar: false, responsive: true, doubleClick: false };
      window.Plotly.react(graph, data, { ...layout, width, autosize: !onPaper }, config);
    }
  }
}
window.addEventListener("beforeprint", () => redraw(PALETTES.light, true));
window.addEventListener("afterprint", () => redraw(palette(), false));

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  figures: {
    // Puts figures and the sentences below them into their places; a store has the pairs by the places' ids, as JSON.
    // `days` are the first and the last day of the year that are shown, if any.
    draw(sent, theme, days) {
      for (const [id, [figure, words]] of Object.entries(sent ? JSON.parse(sent) : {})) {
        if (!window.dash_component_api.getLayout(id)) {
          continue; // the page is being made anew, for another subject
        }
        drawings[id] = (colours) => {
          const drawn = coloured({ data: figure.data, layout: { ...LAYOUT, ...figure.layout } }, colours);
          if (days) {
            const range = days.map((day) => new Date(Date.UTC(2000, 0, day)).toISOString().slice(0, 10));
            const close = days[1] - days[0] < 100 ? { dtick: undefined, tickformat: "%m-%d" } : {};
            Object.assign(drawn.layout.xaxis, { range }, close);
          }
          return drawn;
        };
        window.dash_clientside.set_props(id, { figure: drawings[id](palette()) });
        window.dash_clientside.set_props(`${id}-words`, { children: words });
      }
      return window.dash_clientside.no_update;
    },
  },
});
