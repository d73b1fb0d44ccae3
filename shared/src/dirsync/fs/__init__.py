"""The only place that touches the files of a source or a replica; everything by directory descriptor."""
