"""Controls for what only Python can redo, with a static figure standing in on the page."""

from collections.abc import Callable

from .frontend import static


def recompute(function: Callable, **controls) -> None:
    """Show `function` at the first state of `controls`; in a live kernel, with widgets that call it again.

    Each control is `(value, options)`: a list of options gives a menu, a `(low, high)` pair of whole numbers
    or `(low, high, step)` a slider. On the built page there is no kernel, hence no widget: the figure at
    the first state stands alone.
    """
    first = {name: value for name, (value, _) in controls.items()}
    if static():
        function(**first)
        return
    import ipywidgets

    def widget(name: str, value, options):
        label = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
        if isinstance(options, list):
            return ipywidgets.Dropdown(options=options, value=value, **label)
        low, high, step = options if len(options) == 3 else (*options, 1)
        kind = ipywidgets.IntSlider if all(isinstance(n, int) for n in (low, high, step)) else ipywidgets.FloatSlider
        return kind(value=value, min=low, max=high, step=step, continuous_update=False, **label)

    ipywidgets.interact(function, **{name: widget(name, *control) for name, control in controls.items()})
