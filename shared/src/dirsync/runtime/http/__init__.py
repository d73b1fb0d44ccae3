"""The HTTP server: metrics, health and the status page."""
