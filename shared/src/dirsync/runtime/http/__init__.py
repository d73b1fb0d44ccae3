"""The HTTP server: metrics, health and what a service adds."""
