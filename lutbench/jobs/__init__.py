"""One file a command, named as the command: from the checked request to the written result.

The other files hold what several commands share.
"""
