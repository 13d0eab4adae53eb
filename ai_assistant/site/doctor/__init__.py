"""`bench ai-assistant doctor`: looks at a site and its bench, and says of each thing that is wrong what to type.

A check is a function that is given the `Subject` and yields `Finding`s (`finding.py`). `run.py` runs the checks, each
with a time limit of its own; `report.py` shows what they found. Modules that need Frappe import it inside functions,
so that the others can be tried without a site.
"""
