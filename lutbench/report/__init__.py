"""Pictures of LUTs and the HTML page about one LUT or two. Nothing here measures; page.py puts the page together."""
