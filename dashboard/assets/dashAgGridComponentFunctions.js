// The cells of the grid of runs that are links into the MLflow pages.

const link = (props, address) =>
  address && props.value != null
    ? React.createElement("a", { href: address, target: "_blank", rel: "noopener" }, props.value)
    : "–";

window.dashAgGridComponentFunctions = Object.assign(window.dashAgGridComponentFunctions || {}, {
  RunLink: (props) => link(props, props.data.url),
  VersionLink: (props) => link(props, props.data.version_url),
});
