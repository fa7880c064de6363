"""``runs/index.html``: how every listed table is now, and the last runs."""
