"""Images and labels to search and train with: digits, drawn shapes, image folders, Arrow files."""
