"""`python -m dashtam_events.cli`: the command where no script was installed."""

from dashtam_events.cli import main

main()
