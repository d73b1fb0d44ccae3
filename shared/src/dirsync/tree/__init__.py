"""The pure core: paths, entries and trees, and what is decided over them. Nothing here touches a disk or a clock."""
