// The page of the next days: the address and the choice between power and shape say the same.

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  nextDays: {
    follow(search, mode) {
      const { no_update, callback_context } = window.dash_clientside;
      const asked = /[?&]show=shape(&|$)/.test(search || "") ? "shape" : "power";
      const chosen = callback_context.triggered.some((part) => part.prop_id === "next-days-mode.value");
      if (!chosen || callback_context.triggered.length > 1) {
        return asked;
      }
      if (mode !== asked) {
        window.dash_clientside.set_props("url", { search: mode === "shape" ? "?show=shape" : "" });
      }
      return no_update;
    },
  },
});
