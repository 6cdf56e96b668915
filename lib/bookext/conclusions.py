"""Conclusions follow the facts: the build names each one that a price, a specification or a measurement has turned over."""

from llmcost import takeaways
from llmcost.evaluation import StatementError
from sphinx.util import logging

logger = logging.getLogger(__name__)


def report(app):
    try:
        turned = takeaways.flips()
    except StatementError as error:
        logger.warning("data/takeaways.toml: %s", error, type="book", subtype="conclusion")
        return
    for one in turned:
        logger.warning("takeaway %s of chapters/%s: %s. It is %.4g %s today, the threshold %.4g: change the words of the chapter, then `standing` in "
                       "data/takeaways.toml", one.takeaway.id, one.takeaway.chapter, "flipped" if one.standing == "flipped" else "it holds again", one.value,
                       one.takeaway.unit, one.threshold, type="book", subtype="conclusion")


def setup(app):
    app.connect("builder-inited", report)
