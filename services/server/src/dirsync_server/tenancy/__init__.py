"""Tenants: namespaces, their tokens, policies and limits."""
