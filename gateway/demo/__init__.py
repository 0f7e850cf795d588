"""The main job, end to end, on one machine: `bankgate demo`. Everything runs as in production, as processes of their own."""
