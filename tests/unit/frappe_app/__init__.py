"""What Frappe v15.55.1 demands of an app, checked without Frappe: a rule is a function that gives its problems."""
