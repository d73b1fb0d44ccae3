"""What decides when something may be removed: whose source it is, how long nothing new came, what a link leads to."""
