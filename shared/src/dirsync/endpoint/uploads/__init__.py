"""Uploads that outlive the stream they came on."""
