"""Tables and pages of what a search measured, readable without the program."""
