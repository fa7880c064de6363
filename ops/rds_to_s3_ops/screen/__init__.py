"""How the command's output fits a terminal: tables, paragraphs and lines that are never cut."""
