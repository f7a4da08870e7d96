"""Optional parts: each module needs a package that fastpool itself does not."""
