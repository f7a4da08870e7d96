"""What packages do with urllib3 beyond its documented interface; tests say whose way it is."""
