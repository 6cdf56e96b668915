"""Notebooks are tested as the page shows them: without widgets and without the front end in their outputs."""

import os

os.environ["LLMCOST_STATIC"] = "1"
