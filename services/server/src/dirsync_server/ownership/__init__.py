"""Which server owns a namespace on storage that several servers share (ADR on fencing numbers)."""
