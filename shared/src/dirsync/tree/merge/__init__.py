"""Three-way merge, pure: what two sides, and what they last agreed on, make of each other (docs/two-way.md)."""
