"""Hooks: what is run or called after a sync. They are told of states; the sync never waits for them."""
