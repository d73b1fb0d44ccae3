"""When a file that never rests is sent again."""
