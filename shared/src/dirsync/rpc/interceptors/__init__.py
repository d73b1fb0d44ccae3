"""Server interceptors: admission, limits of calls, stalled calls, call metrics."""
