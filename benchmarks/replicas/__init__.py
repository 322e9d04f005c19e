"""The overhead of Ray Serve and HAProxy: one replica against a plain server, run side by side."""
