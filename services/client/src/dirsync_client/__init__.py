"""The dirsync client: mirrors a source directory to a server, once and live."""
