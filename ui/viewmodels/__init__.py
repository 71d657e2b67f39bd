"""View-models: the state of a page, free of widgets."""
