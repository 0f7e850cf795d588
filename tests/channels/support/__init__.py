"""Real other sides for the channels' tests: an SSH server, raw HTTP servers, a proxy that cuts."""
