// The grid of runs: its cells that are links into the MLflow pages, and its look.

const link = (props, address) =>
  address && props.value != null
    ? React.createElement("a", { href: address, target: "_blank", rel: "noopener" }, props.value)
    : "–";

window.dashAgGridComponentFunctions = Object.assign(window.dashAgGridComponentFunctions || {}, {
  RunLink: (props) => link(props, props.data.url),
  VersionLink: (props) => link(props, props.data.version_url),
});

// The page's own colours, in either theme.
window.dashAgGridFunctions = Object.assign(window.dashAgGridFunctions || {}, {
  pageTheme: (theme) => theme.withParams({
    backgroundColor: "var(--paper)",
    foregroundColor: "var(--ink)",
    borderColor: "var(--line)",
    headerBackgroundColor: "var(--paper)",
    headerTextColor: "var(--soft)",
    accentColor: "var(--link)",
    browserColorScheme: "inherit",
    fontFamily: "inherit",
    fontSize: 14,
    wrapperBorderRadius: 0,
    wrapperBorder: false,
  }),
});
