"""`python -m lutbench`"""

from lutbench.cli.main import main

main()
