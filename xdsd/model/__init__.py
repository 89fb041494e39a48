"""Values that everything else is written in: intent, catalog, mesh and problems."""
