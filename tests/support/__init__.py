"""What the tests stand on: servers, certificates, counters; no test in here."""
