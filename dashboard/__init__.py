"""The dashboard: what was recorded, what the model in production makes of it, and how good that model is."""

import os

# Dash, Flask, Werkzeug and Plotly take settings from the environment, too. They were meant for other programs: this one
# has its own, and a DASH_DEBUG or a DASH_URL_BASE_PATHNAME left over would change its pages or keep it from starting.
FOREIGN = ("DASH_", "FLASK_", "WERKZEUG_", "REACT_VERSION", "PLOTLY_RENDERER")
for name in [name for name in os.environ if name.upper().startswith(FOREIGN)]:
    del os.environ[name]
