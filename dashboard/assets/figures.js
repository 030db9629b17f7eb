// Draws the figures that the server sends: puts the theme's colours in the place of their names.

const PALETTES = {
  light: {
    ink: "#1c2024", text: "#565d65", axis: "#b4bac0", grid: "#e8eaec", surface: "#ffffff", faint: "#f3f1ec",
    band: "rgba(28, 32, 36, 0.13)",
    solar: "#e69f00", solarSoft: "rgba(230, 159, 0, 0.28)", solarDeep: "#6b4400",
    wind: "#0072b2", windSoft: "rgba(0, 114, 178, 0.22)", windDeep: "#00263d",
    year1: "#4d555e", year2: "#009e73", year3: "#cc79a7", year4: "#56b4e9", year5: "#d55e00",
  },
  dark: {
    ink: "#f0f2f4", text: "#a3abb3", axis: "#5c646d", grid: "#2b3036", surface: "#1d2126", faint: "#23282e",
    band: "rgba(240, 242, 244, 0.17)",
    solar: "#e69f00", solarSoft: "rgba(230, 159, 0, 0.30)", solarDeep: "#ffe1a1",
    wind: "#56b4e9", windSoft: "rgba(86, 180, 233, 0.28)", windDeep: "#dff2fd",
    year1: "#a3abb3", year2: "#21c79a", year3: "#e29cc4", year4: "#3f8fd0", year5: "#ff8040",
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
    return Object.fromEntries(
      Object.entries(part).map(([key, piece]) => [key, key === "bdata" ? piece : coloured(piece, palette)]),
    );
  }
  return part;
}

const EMPTY = {
  data: [],
  layout: {
    xaxis: { visible: false }, yaxis: { visible: false },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
  },
};

// Tells the page which theme is in force, at the start, after a click, and when the system changes its own.
const root = document.documentElement;
const tell = () => window.dash_clientside.set_props && document.getElementById("scheme")
  && window.dash_clientside.set_props("theme", { data: root.dataset.mantineColorScheme });
new MutationObserver(tell).observe(root, { attributes: true, attributeFilter: ["data-mantine-color-scheme"] });

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  figures: {
    // Returns one figure for each graph, of a list that may still be JSON; `days` are the first and the last day of the year that are shown, if any.
    draw(figures, theme, days) {
      const palette = PALETTES[root.dataset.mantineColorScheme] || PALETTES.light;
      const graphs = window.dash_clientside.callback_context.outputs_list;
      const sent = typeof figures === "string" ? JSON.parse(figures) : figures;
      return graphs.map((_, place) => {
        const figure = sent && sent[place];
        if (!figure) {
          return EMPTY;
        }
        const drawn = coloured(figure, palette);
        if (days) {
          const iso = (day) => new Date(Date.UTC(2000, 0, day)).toISOString().slice(0, 10);
          drawn.layout.xaxis.range = days.map(iso);
          if (days[1] - days[0] < 100) {
            Object.assign(drawn.layout.xaxis, { dtick: undefined, tickformat: "%m-%d" });
          }
        }
        return drawn;
      });
    },
  },
});
