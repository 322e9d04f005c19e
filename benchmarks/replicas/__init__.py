"""What Ray Serve and HAProxy cost: one replica against a plain server, both running at once."""
