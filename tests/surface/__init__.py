"""What packages do with urllib3 beyond its documented interface; each test names whose way it is."""
