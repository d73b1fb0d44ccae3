"""Traces: optional, by OpenTelemetry where it is installed (the extra ``otel``) and its variables ask for it."""
