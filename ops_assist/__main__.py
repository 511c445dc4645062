"""`python -m ops_assist` is `ops-assist`."""

from ops_assist.cli import main

main()
