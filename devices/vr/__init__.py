"""Headsets: WebXR in a browser, OpenXR on a tether."""
