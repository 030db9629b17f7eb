"""The pages: each a module with ``TITLE``, ``PATH``, ``layout()`` and ``register(app, live, settings)``.

A page follows the stores of the shell: ``view-key`` changes with the model in production or the table (None as long as
there is nothing to show), ``registry-key`` with versions, ledger or runs. Its address is ``url`` (``pathname``,
``search``). Figures are made with dashboard/figures, put into a ``dcc.Store`` as a list, and drawn by
``shell.draw(app, store, graphs)`` in the colours of the theme; ``shell.figure`` makes the place for one.
"""
