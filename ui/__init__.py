"""The desktop windows. The only package that imports Qt."""
