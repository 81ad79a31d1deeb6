"""Charts drawn by matplotlib, one file each; style.py holds their colours and turns them into SVG or files."""
