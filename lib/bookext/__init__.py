"""The book's Sphinx extension: what turns notebooks into a site that stands on its own.

| module | subject |
|---|---|
| mathematics, mathml | LaTeX to MathML at build, in the dialect that browsers draw; the font it is set in |
| controls | the front end of the live controls, and their first drawing |
| pages | what the theme and the default extensions add, cleaned up |
| hosting | no page asks another host for anything |
| dependencies | pages follow data/, the library and this extension |
| conclusions | a conclusion that a new fact has turned over is a warning |
| fonts, styles | subsets of the fonts and of the theme's style sheet |
| refresh, serve | `python -m bookext.refresh`, `python -m bookext.serve`: stored outputs, the site on this computer |
"""


def setup(app):
    from . import conclusions, controls, dependencies, hosting, mathematics, pages  # a reader's kernel has no Sphinx, but reads static/

    for subject in (mathematics, controls, pages, hosting, dependencies, conclusions):
        subject.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
